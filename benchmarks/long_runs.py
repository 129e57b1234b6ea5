"""A long `autocompress distill` on a set of DIV2K's size: time to the first step, memory, cache, and what a kill costs.

    python benchmarks/long_runs.py [--images 800] [--steps 100000] [--train-pixels 256M] [--seconds 60]

The images are made up: so many files of 2040x1356 pixels, links to PICTURES different ones, since only their number and
sizes count here; fewer images and --train-pixels in proportion are what can be extrapolated from. The command runs in a
cache and a folder of its own: killed (SIGKILL) while the teacher runs on the images, started again and killed after so
many seconds of training, started again, and started with another --out on the warm cache. Everything is removed
afterwards. Linux only.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 2040, 1356
PICTURES = 16
TARGET, FIRST_STEP, GOING_ON = "running the target: tile", "after 0 steps", "going on after"
MIB = 2**20


@dataclass(frozen=True)
class Session:
    """A command that was killed: seconds to the line that was waited for, that line, and the most MiB in memory."""

    seconds: float
    processor: float  # seconds of them
    line: str
    resident: float
    own: float  # without what is mapped from files
    lost: float | None  # seconds between the last state that was written and the kill


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{options.images} images of {SIZE[0]}x{SIZE[1]}, {options.steps} steps, {options.threads} threads")
        make_images(folder / "images", options.images)

        def session(what: str, until: str, out: str = "a", seconds: float = 0.0) -> Session:
            ended = killed(command(options, folder, out), folder, folder / f"{out}.state", until, seconds)
            memory = f"at most {ended.resident:5.0f} MiB resident, {ended.own:5.0f} MiB of them its own"
            print(
                f"{what:44} {ended.seconds:6.1f} s, {ended.processor:5.1f} of a processor; {memory}; {ended.line}",
                flush=True,
            )
            return ended

        session("cold, to the target's second line; killed", TARGET)
        trained = session("again, to the first step; killed later", FIRST_STEP, seconds=options.seconds)
        print(f"lost by that kill: {trained.lost:.1f} s of training", flush=True)
        session("again, to where it goes on; killed later", GOING_ON, seconds=options.seconds)
        session("warm cache, to the first step of another", FIRST_STEP, out="b")
        for kind in sorted(path for path in (folder / "cache").iterdir() if not path.name.startswith(".")):
            size = sum(file.stat().st_size for file in kind.rglob("*") if file.is_file())
            print(f"cache, {kind.name}: {size / MIB:.0f} MiB")


def command(options: argparse.Namespace, folder: Path, out: str) -> list[str]:
    words = ["distill", "edsrmini", "--train", str(folder / "images"), "--steps", str(options.steps)]
    words += ["--out", str(folder / f"{out}.safetensors")]
    words += [] if options.train_pixels is None else ["--train-pixels", options.train_pixels]
    return [sys.executable, "-m", "autocompress", *words]


def killed(words: list[str], folder: Path, state: Path, until: str, seconds: float) -> Session:
    """Run a command until a line with `until` comes, and for so many seconds more; then kill it."""
    log = folder / "log"
    environment = os.environ | {"AUTOCOMPRESS_CACHE": str(folder / "cache")}
    start, reached, line, processor, resident, own = time.monotonic(), None, "", 0.0, 0.0, 0.0
    with log.open("w") as stream:
        child = subprocess.Popen(words, stderr=stream, stdout=stream, env=environment)
        while reached is None or time.monotonic() - reached < seconds:
            time.sleep(0.2)
            if child.poll() is not None:
                raise SystemExit(f"it ended with {child.returncode}:\n{log.read_text()}")
            facts = dict(row.split(":", 1) for row in Path(f"/proc/{child.pid}/status").read_text().splitlines())
            resident, own = max(resident, mebibytes(facts["VmHWM"])), max(own, mebibytes(facts["RssAnon"]))
            if reached is None and until in log.read_text():
                line = next(row for row in log.read_text().splitlines() if until in row)
                reached, processor = time.monotonic(), processor_seconds(child.pid)
        child.send_signal(signal.SIGKILL)
        child.wait()
    lost = time.time() - state.stat().st_mtime if state.exists() else None
    return Session(reached - start, processor, line, resident, own, lost)


def processor_seconds(pid: int) -> float:
    """What a process has used, all its threads together."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def mebibytes(text: str) -> float:
    """Of a text such as `1234 kB`."""
    return int(text.split(maxsplit=1)[0]) / 1024


def make_images(folder: Path, count: int) -> None:
    """Waves under noise, about as large as files as DIV2K's."""
    folder.mkdir()
    random = np.random.default_rng(0)
    y, x = np.mgrid[: SIZE[1], : SIZE[0]].astype(np.float32)
    for index in range(count):
        file = folder / f"{index:04}.png"
        if index >= PICTURES:
            file.hardlink_to(folder / f"{index % PICTURES:04}.png")
            continue
        waves = (110 + 90 * np.sin(x / (37 + index)) * np.cos(y / 23)).astype(np.uint8)
        noise = random.integers(0, 16, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        Image.fromarray(waves[:, :, None] + noise).save(file, compress_level=1)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=800)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--train-pixels", help="as of `distill`; its default if not given")
    parser.add_argument("--seconds", type=float, default=60.0, help="of training before each kill")
    parser.set_defaults(threads=os.environ.get("OMP_NUM_THREADS", "all"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
