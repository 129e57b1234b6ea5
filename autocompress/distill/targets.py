"""A teacher's outputs for all training images: computed once, kept in the cache, read by every trial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from autocompress import cache
from autocompress.arithmetic import Arithmetic
from autocompress.data.bank import PixelBank
from autocompress.families.base import SRNetwork, digest

FILE = "teacher.u8"
FORMAT = 1  # goes into the cache key: raise it when what is stored changes
TILE = 256  # LR pixels a side; a 64-channel teacher then needs some 100 MB
OVERLAP = 16  # LR pixels that a tile sees beyond its own; what lies further away changes little

OnTile = Callable[[int, int], None]


def teacher_targets(
    teacher: SRNetwork, bank: PixelBank, arithmetic: Arithmetic, on_tile: OnTile | None = None
) -> Tensor:
    """The teacher's output for every HR pixel of the bank: uint8 (N, 3), aligned with `bank.hr`, memory-mapped.

    The teacher runs in the training's own arithmetic, in eval mode and without a graph. `on_tile(done, total)` reports
    progress while they are computed.
    """
    key = f"{digest(teacher)}-{bank.key}-{arithmetic.dtype}-{FORMAT}"

    def build(folder: Path) -> None:
        tiles_done, tiles = 0, sum(len(_tiles(bank, image)) for image in range(len(bank)))
        with (folder / FILE).open("wb") as file:
            for image in range(len(bank)):
                whole = torch.empty(bank.hr_image(image).shape, dtype=torch.uint8)
                for top, left in _tiles(bank, image):
                    _fill_tile(whole, teacher, bank.lr_image(image), top, left, arithmetic)
                    tiles_done += 1
                    if on_tile is not None:
                        on_tile(tiles_done, tiles)
                file.write(whole.numpy().data)

    folder = cache.entry("targets", key, build, size=bank.hr.numel())
    stored = torch.from_file(str(folder / FILE), shared=False, size=bank.hr.numel(), dtype=torch.uint8)
    return stored.view_as(bank.hr)


def _tiles(bank: PixelBank, image: int) -> list[tuple[int, int]]:
    """(top, left) of every tile of an image, in LR pixels."""
    height, width = int(bank.heights[image]), int(bank.widths[image])
    return [(top, left) for top in range(0, height, TILE) for left in range(0, width, TILE)]


def _fill_tile(whole: Tensor, teacher: SRNetwork, lr: Tensor, top: int, left: int, arithmetic: Arithmetic) -> None:
    """Write the teacher's output for one tile, seen with what is around it, into the image's uint8 (H, W, 3)."""
    scale, above, before = teacher.scale, max(0, top - OVERLAP), max(0, left - OVERLAP)
    seen = lr[above : top + TILE + OVERLAP, before : left + TILE + OVERLAP]
    images = (seen.permute(2, 0, 1)[None].float() / 255).to(arithmetic.device)
    with torch.inference_mode(), arithmetic.autocast():
        sr = teacher(images.contiguous(memory_format=arithmetic.memory_format)).float()
    own = whole[top * scale : (top + TILE) * scale, left * scale : (left + TILE) * scale]
    first_row, first_column = (top - above) * scale, (left - before) * scale
    sr = sr[0, :, first_row : first_row + own.shape[0], first_column : first_column + own.shape[1]]
    own.copy_((sr.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0))
