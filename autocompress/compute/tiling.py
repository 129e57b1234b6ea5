"""Upscaling an image tile by tile: where tiles lie, what the network sees of each, and how they become one image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from autocompress.errors import CheckpointError

Run = Callable[[Tensor], Tensor]
"""A network on its device: (1, 3, h, w) in [0, 1], channels-last, to (1, 3, scale*h, scale*w)."""

OnTile = Callable[[], None]
"""Called after each tile."""


@dataclass(frozen=True)
class Span:
    """One side of a tile, in LR pixels: `own` are the pixels it contributes, `seen` also has the margin around them."""

    own: slice
    seen: slice

    def target(self, scale: int) -> slice:
        """Where the tile belongs in the upscaled image."""
        return slice(self.own.start * scale, self.own.stop * scale)

    def source(self, scale: int) -> slice:
        """Where the tile's own pixels lie in the network's output for all that it has seen."""
        return slice((self.own.start - self.seen.start) * scale, (self.own.stop - self.seen.start) * scale)


@dataclass(frozen=True)
class Tiling:
    """Tiles of `tile` LR pixels a side; the network also sees `margin` pixels around each, where the image has them.

    What it sees begins and ends at multiples of `multiple`, or where the image ends: only there a network pads it, and
    exactly as it pads the whole image. `margin` must not be smaller than `multiple`, unless that is 1.
    """

    tile: int
    margin: int = 0
    multiple: int = 1

    def spans(self, size: int) -> list[Span]:
        """The tiles along a side of `size` pixels; the last one has what is left."""
        return [self._span(start, min(start + self.tile, size), size) for start in range(0, size, self.tile)]

    def _span(self, start: int, stop: int, size: int) -> Span:
        first = max(0, start - self.margin) // self.multiple * self.multiple
        last = -(-(stop + self.margin) // self.multiple) * self.multiple
        return Span(slice(start, stop), slice(first, min(last, size)))

    def count(self, height: int, width: int) -> int:
        """How many tiles an image of this size has."""
        return len(self.spans(height)) * len(self.spans(width))

    def upscale(self, run: Run, lr: Tensor, scale: int, on_tile: OnTile | None = None) -> Tensor:
        """Upscale uint8 (h, w, 3) on the device of `run` to uint8 (scale*h, scale*w, 3) on the CPU.

        Grey images (h, w, 1) are RGB for the network, tile by tile, and what it makes becomes grey again.
        """
        grey = lr.shape[2] == 1
        whole = torch.empty(lr.shape[0] * scale, lr.shape[1] * scale, lr.shape[2], dtype=torch.uint8)
        for rows in self.spans(lr.shape[0]):
            for columns in self.spans(lr.shape[1]):
                # The batch is added before channels are moved. After it, its stride would not be that of channels-last:
                # convolutions would take another path, slower, and whose rounding depends on the size of the tile.
                seen = lr[rows.seen, columns.seen].expand(-1, -1, 3)[None].permute(0, 3, 1, 2)
                sr = run(seen.contiguous(memory_format=torch.channels_last).float() / 255)
                own = sr[0, :, rows.source(scale), columns.source(scale)].float()
                if not own.isfinite().all():
                    raise CheckpointError(
                        "the network makes values of an image that are not finite (NaN or infinite); give the file of "
                        "a trained network's weights, with the res_scale that it was trained with"
                    )
                eight_bits = (own.clamp(0, 1) * 255).round().to(torch.uint8)
                own_colours = luma(eight_bits) if grey else eight_bits
                whole[rows.target(scale), columns.target(scale)] = own_colours.permute(1, 2, 0).cpu()
                if on_tile is not None:
                    on_tile()
        return whole


def luma(rgb: Tensor) -> Tensor:
    """Grey (1, h, w) of uint8 RGB (3, h, w): BT.601 in full range, to the same bit as Pillow's mode L."""
    red, green, blue = rgb.to(torch.int32)
    grey: Tensor = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return grey.to(torch.uint8)[None]
