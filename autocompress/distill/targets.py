"""A teacher's outputs for all training images: computed once, kept in the cache, read by every trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from autocompress import cache
from autocompress.arithmetic import Arithmetic
from autocompress.data.bank import PixelBank
from autocompress.families.base import SRNetwork, digest

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
        outputs = torch.from_file(str(folder / "teacher.u8"), shared=True, size=bank.hr.numel(), dtype=torch.uint8)
        _fill(outputs.view_as(bank.hr), teacher, bank, arithmetic, on_tile)

    folder = cache.entry("targets", key, build, size=bank.hr.numel())
    stored = torch.from_file(str(folder / "teacher.u8"), shared=False, size=bank.hr.numel(), dtype=torch.uint8)
    return stored.view_as(bank.hr)


def _fill(outputs: Tensor, teacher: SRNetwork, bank: PixelBank, arithmetic: Arithmetic, on_tile: OnTile | None) -> None:
    tiles = list(_tiles(bank))
    for done, (image, top, left) in enumerate(tiles):
        if on_tile is not None:
            on_tile(done, len(tiles))
        scale, start = bank.scale, int(bank.offsets[image]) * bank.scale**2
        height, width = int(bank.heights[image]) * scale, int(bank.widths[image]) * scale
        whole = outputs[start : start + height * width].view(height, width, 3)
        sr = _upscale_tile(teacher, bank.lr_image(image), top, left, arithmetic)
        whole[top * scale : (top + TILE) * scale, left * scale : (left + TILE) * scale] = sr


def _tiles(bank: PixelBank) -> Iterator[tuple[int, int, int]]:
    """(image, top, left) of every tile, in LR pixels."""
    for image in range(len(bank)):
        for top in range(0, int(bank.heights[image]), TILE):
            for left in range(0, int(bank.widths[image]), TILE):
                yield image, top, left


def _upscale_tile(teacher: SRNetwork, lr: Tensor, top: int, left: int, arithmetic: Arithmetic) -> Tensor:
    """uint8 (<= scale*TILE, <= scale*TILE, 3) for the tile at (top, left), seen with some of what is around it."""
    above, before = max(0, top - OVERLAP), max(0, left - OVERLAP)
    seen = lr[above : top + TILE + OVERLAP, before : left + TILE + OVERLAP]
    images = (seen.permute(2, 0, 1)[None].float() / 255).to(arithmetic.device, memory_format=arithmetic.memory_format)
    with torch.inference_mode(), arithmetic.autocast():
        sr = teacher(images).float()
    own = sr[0, :, (top - above) * teacher.scale :, (left - before) * teacher.scale :]
    own = own[:, : TILE * teacher.scale, : TILE * teacher.scale]
    return (own.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu()
