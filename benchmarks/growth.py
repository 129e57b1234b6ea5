"""How time and memory grow: with trials, with training images, with the size of an image.

    python benchmarks/growth.py

Each row is a process of its own. *Trials*: a whole search whose trials are stubs (they take no time and write a
student's side file). *Images*: photographs of 480x320 pixels are made, decoded into the cache, and batches are cut from
them. *Scoring*: one image of so many LR pixels, upscaled by EDSRmini and scored. Ends with how much a tenfold (for
images and pixels: a fourfold) size multiplies the time: 10 (4) is linear.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CASES = {
    "trials": (10, 30, 100, 300, 1000),
    "images": (50, 200, 800),
    "scoring": (128**2, 256**2, 512**2, 1024**2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs=2, metavar=("NAME", "SIZE"), help="one row")
    options = parser.parse_args()
    if options.case:
        name, size = options.case
        with tempfile.TemporaryDirectory() as folder:
            os.environ["AUTOCOMPRESS_CACHE"] = str(Path(folder, "cache"))
            found = {"trials": trials, "images": images, "scoring": scoring}[name](int(size), Path(folder))
        found["MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps(found))
        return
    growth = {}
    for name, sizes in CASES.items():
        rows = [row(name, size) for size in sizes]
        keys = list(rows[0])
        print(f"\n| {name} | " + " | ".join(keys) + " |\n|---|" + "---|" * len(keys))
        for size, found in zip(sizes, rows, strict=True):
            print(f"| {size} | " + " | ".join(f"{value:.4g}" for value in found.values()) + " |", flush=True)
        growth[name] = rows[-1]["seconds"] / rows[-3 if name == "trials" else -2]["seconds"]
    for name, ratio in growth.items():
        print(f"{name} {ratio:.1f}")


def row(name: str, size: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--case", name, str(size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def trials(count: int, folder: Path) -> dict[str, Any]:
    """A search of so many trials whose scores are made up."""
    from autocompress.search import SearchCallback, Settings, search
    from autocompress.search.backends.in_memory import InMemoryBackend
    from autocompress.search.trial.messages import Job

    def score(job: Job, step: int) -> float:
        """It grows with the logarithm of its FLOPs, less some noise."""
        return 20 + 1.5 * len(str(job.candidate.flops)) - hash(job.candidate.key) % 97 / 50 + step / 100

    settings = Settings(budget_flops=100 * 10**9, trials=count, out=folder / "run")
    run, _ = search(settings, SearchCallback(), backend=InMemoryBackend(score))
    parts = run.times[-1].parts
    return {
        "seconds": sum(parts[part] for part in ("sampling", "storing", "other")),
        "ms a trial of sampling": 1000 * parts["sampling"] / count,
        "storing": 1000 * parts["storing"] / count,
    }


def images(count: int, folder: Path) -> dict[str, float]:
    """So many training images: the first time, the second time, and a batch."""
    import numpy as np
    from PIL import Image

    from autocompress.data.bank import PixelBank
    from autocompress.data.folders import open_folder
    from autocompress.data.patches import PatchSampler

    random = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for index in range(count):
        pixels = random.integers(0, 255, (10, 15, 3), np.uint8)
        Image.fromarray(pixels).resize((480, 320)).save(folder / "photos" / f"{index}.png")
    times = []
    for _ in range(2):
        start = time.perf_counter()
        bank = PixelBank.open(open_folder(folder / "photos", 2, min_size=96))
        times.append(time.perf_counter() - start)
    sampler = PatchSampler(bank, patch_size=32, batch_size=16, seed=0)
    start = time.perf_counter()
    for _ in range(50):
        sampler.sample()
    batch = (time.perf_counter() - start) / 50
    return {"seconds": times[0], "again": times[1], "ms a batch": 1000 * batch}


def scoring(pixels: int, folder: Path) -> dict[str, float]:
    """EDSRmini on one square image of so many LR pixels, with all metrics."""
    import numpy as np

    from autocompress.data.sources import ImagePair
    from autocompress.evaluation.scores import evaluate, network_upscaler
    from autocompress.networks.edsr.network import EDSR, EDSRConfig

    side = int(pixels**0.5)
    random = np.random.default_rng(0)
    lr, hr = (random.integers(0, 255, (n, n, 3), np.uint8) for n in (side, 2 * side))
    upscale = network_upscaler(EDSR(EDSRConfig(2, 16, 8)).eval())
    start = time.perf_counter()
    upscale(lr)
    middle = time.perf_counter()
    evaluate(lambda _: hr, [ImagePair("noise", lr, hr // 2)], 2)
    return {
        "seconds": time.perf_counter() - start,
        "of it upscaling": middle - start,
        "metrics": time.perf_counter() - middle,
    }


if __name__ == "__main__":
    main()
