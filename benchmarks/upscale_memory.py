"""What `autocompress upscale` needs: peak memory and seconds, each picture in a process of its own.

    python benchmarks/upscale_memory.py [--suffix .png] [--tile 128 --tile 256 ...] [--threads 2]

A student of 16 features and 8 blocks (untrained, which costs the same) on 24 megapixels, 6000x4000, and the shipped
teachers on 768x512, all at x2; *start* is the same command on one pixel. With `--tile`, the student alone on the
small picture with each of these tiles, beside the default. Prints MiB (the most that was resident at once) and seconds
of the whole command.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from autocompress.networks.edsr.network import EDSR, EDSRConfig

TEACHERS = ("edsr-baseline-x2", "swinir-s-x2")
LARGE, SMALL, START = (6000, 4000), (768, 512), (1, 1)

COMMAND = """
import resource, sys, torch
torch.set_num_threads(int(sys.argv.pop(1)))
from autocompress.cli import main
sys.argv[0] = "autocompress"
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        student = folder / "student.pth"
        torch.save({"params": EDSR(EDSRConfig(2, 16, 8)).state_dict()}, student)
        runs: list[tuple[str, tuple[int, int], int | None]] = [(str(student), START, None)]
        if options.tile:
            runs += [(str(student), SMALL, tile) for tile in (None, *options.tile)]
        else:
            runs += [(str(student), LARGE, None), *((teacher, SMALL, None) for teacher in TEACHERS)]
        for model, size, tile in runs:
            source, target = folder / f"in{options.suffix}", folder / f"out{options.suffix}"
            photograph(*size).save(source)
            mebibytes, seconds = measured(model, source, target, tile, options.threads)
            label = "start" if size == START else f"{Path(model).stem} {size[0]}x{size[1]}"
            print(f"{label:28} tile {tile or 'default':8} {mebibytes:6.0f} MiB {seconds:7.1f} s", flush=True)


def measured(model: str, source: Path, target: Path, tile: int | None, threads: int) -> tuple[float, float]:
    """Peak MiB and seconds of a command."""
    words = [str(threads), "upscale", model, str(source), str(target), "--overwrite"]
    words += [] if tile is None else ["--tile", str(tile)]
    start = time.perf_counter()
    ended = subprocess.run([sys.executable, "-c", COMMAND, *words], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return int(ended.stderr.splitlines()[-1]) * unit / 2**20, seconds


def photograph(width: int, height: int) -> Image.Image:
    """Waves under noise, which no format compresses to nothing."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 16, (min(height, 512), min(width, 512), 3), dtype=np.uint8)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = (110 + 90 * np.sin(x / 37) * np.cos(y / 23)).astype(np.uint8)
    tiled = np.tile(noise, (-(-height // 512), -(-width // 512), 1))[:height, :width]
    return Image.fromarray(waves[:, :, None] + tiled)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suffix", default=".png", help="of the files that are read and written")
    parser.add_argument("--tile", type=int, action="append", help="compare tiles on a smaller picture")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


if __name__ == "__main__":
    main()
