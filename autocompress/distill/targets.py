"""A teacher's outputs for all training images: computed once, kept in the cache, read by every trial."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.io import cache
from autocompress.networks import in_words
from autocompress.networks.base import SRNetwork
from autocompress.networks.upscaling import tiling
from autocompress.networks.weights import digest
from autocompress.units import quantity

FILE = "teacher.u8"
CHECKSUMS = "written"  # of the images that are in the file so far, one on a line
LINE = 9  # bytes
FORMAT = 2  # goes into the cache key: raise it when what is stored changes
TILE = 256  # LR pixels a side

OnTile = Callable[[int, int], None]


def teacher_targets(teacher: SRNetwork, bank: PixelBank, precision: Precision, on_tile: OnTile | None = None) -> Tensor:
    """The teacher's output for every HR pixel of the bank: uint8 (N, 3), aligned with `bank.hr`, memory-mapped.

    The teacher runs in the training's own precision, in eval mode and without a graph. `on_tile(done, total)` reports
    progress while they are computed. Killed meanwhile, the next call goes on with the image at which it was.
    """
    key = f"{digest(teacher)}-{bank.key}-{precision.dtype}-{FORMAT}"

    def build(folder: Path) -> None:
        tiles = tiling(teacher, TILE)
        counts = [tiles.count(*bank.lr_image(image).shape[:2]) for image in range(len(bank))]
        sizes = [bank.hr_image(image).numel() for image in range(len(bank))]
        path, checked, total = folder / FILE, folder / CHECKSUMS, sum(counts)
        begin = _whole_images(path, checked, sizes)
        numbers = itertools.count(sum(counts[:begin]) + 1)

        def after_tile() -> None:
            if on_tile is not None:
                on_tile(next(numbers), total)

        with path.open("r+b") as file, checked.open("r+") as log, torch.inference_mode(), precision.autocast():
            file.truncate(file.seek(sum(sizes[:begin])))
            log.truncate(log.seek(LINE * begin))
            for image in range(begin, len(bank)):
                lr = bank.lr_image(image).to(precision.device)
                outputs = tiles.upscale(teacher, lr, teacher.scale, after_tile).numpy().data
                file.write(outputs)
                file.flush()
                log.write(f"{zlib.crc32(outputs):08x}\n")
                log.flush()
        checked.unlink()

    about = f"{in_words(teacher)}, on {quantity(len(bank), 'image')}"
    folder = cache.entry("targets", key, build, about=about, size=bank.hr.numel(), resumable=True)
    stored = torch.from_file(str(folder / FILE), shared=False, size=bank.hr.numel(), dtype=torch.uint8)
    return stored.view_as(bank.hr)


def _whole_images(path: Path, checked: Path, sizes: Sequence[int]) -> int:
    """How many images an earlier build, which was killed, has written; checksums tell what a power cut has left."""
    path.touch()
    checked.touch()
    checksums = checked.read_bytes().split(b"\n")[:-1]
    with path.open("rb") as file:
        for image, (size, checksum) in enumerate(zip(sizes, checksums, strict=False)):
            if f"{zlib.crc32(file.read(size)):08x}".encode() != checksum:
                return image
    return min(len(sizes), len(checksums))
