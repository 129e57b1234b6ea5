"""A teacher's outputs for all training images: computed once, kept in the cache, read by every trial."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.io import cache
from autocompress.networks.base import SRNetwork
from autocompress.networks.upscaling import tiling
from autocompress.networks.weights import digest

FILE = "teacher.u8"
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
        ends = list(itertools.accumulate(sizes))
        path, total = folder / FILE, sum(counts)
        path.touch()
        begin = bisect.bisect_right(ends, path.stat().st_size)  # the first image that is not whole
        numbers = itertools.count(sum(counts[:begin]) + 1)

        def after_tile() -> None:
            if on_tile is not None:
                on_tile(next(numbers), total)

        with path.open("r+b") as file, torch.inference_mode(), precision.autocast():
            file.seek(ends[begin - 1] if begin else 0)
            file.truncate()
            for image in range(begin, len(bank)):
                lr = bank.lr_image(image).to(precision.device)
                file.write(tiles.upscale(teacher, lr, teacher.scale, after_tile).numpy().data)

    folder = cache.entry("targets", key, build, size=bank.hr.numel(), resumable=True)
    stored = torch.from_file(str(folder / FILE), shared=False, size=bank.hr.numel(), dtype=torch.uint8)
    return stored.view_as(bank.hr)
