"""Convolutions with PixelShuffles between them, and no activation, as one convolution and one PixelShuffle.

That is what upsamples in EDSR and, behind its last activation, in SwinIR. At x2, x3 and, in two steps of 2, x4 a pixel
of the output depends on LR pixels up to two away, so the one convolution is 5x5.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

KERNEL = 5  # pixels a side of the one convolution
_SIDE = 9  # LR pixels of the images on which it is read off: no border is near


def folded_convolution(channels: int, scale: int) -> nn.Sequential:
    """The network of that form: (B, channels, H, W) to (B, 3, scale*H, scale*W)."""
    return nn.Sequential(
        nn.Conv2d(channels, 3 * scale**2, KERNEL, padding=KERNEL // 2),
        nn.PixelShuffle(scale),
    )


@torch.no_grad()
def fold(tail: nn.Module, channels: int, scale: int) -> tuple[Tensor, Tensor]:
    """Weight (3 scale^2, channels, 5, 5) and bias (3 scale^2,) of the one convolution that equals `tail` inside images.

    `tail` maps (B, channels, H, W) to (B, 3, scale*H, scale*W), linearly but for its biases. It is read off what
    `tail` makes of single pixels, in float64.
    """
    exact = copy.deepcopy(tail).double()
    middle, reach = _SIDE // 2, KERNEL // 2
    nothing = torch.zeros(1, channels, _SIDE, _SIDE, dtype=torch.float64, device=next(tail.parameters()).device)
    whole = nn.functional.pixel_unshuffle(exact(nothing), scale)[0]
    bias = whole[:, middle, middle]
    columns = []
    for channel in range(channels):
        impulse = nothing.clone()
        impulse[0, channel, middle, middle] = 1
        response = nn.functional.pixel_unshuffle(exact(impulse), scale)[0] - whole
        around = response[:, middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
        columns.append(around.flip(1, 2))  # the pixel that is one to the right reads the impulse on its left
    return torch.stack(columns, 1).float(), bias.float()


class FoldedTail(nn.Module):
    """What `tail` computes, by the one convolution, and at the border of the image by `tail` itself.

    There `tail` takes what lies outside of the image for zeros at each of its convolutions, and the one convolution
    only at LR. So the outermost pixels come from `tail` on strips of the image. `factors` are those of its
    PixelShuffles, in order.
    """

    def __init__(self, tail: nn.Module, channels: int, factors: Sequence[int]) -> None:
        super().__init__()
        scale = math.prod(factors)
        self.tail = tail
        self.folded = folded_convolution(channels, scale)
        weight, bias = fold(tail, channels, scale)
        self.folded[0].load_state_dict({"weight": weight, "bias": bias})
        self.ring, self.strip = _border(factors)

    @override
    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, 3, scale*H, scale*W)."""
        sr: Tensor = self.folded(features)
        for dimension in (2, 3):
            first, last = (self.tail(_part(features, dimension, *ends)) for ends in ((0, self.strip), (-self.strip,)))
            first = _part(_part(first, dimension, 0, -self.ring), dimension, 0, self.ring)  # less of a small image
            middle = _part(sr, dimension, self.ring, -self.ring)
            sr = torch.cat([first, middle, _part(last, dimension, -self.ring)], dimension)
        return sr


def _border(factors: Sequence[int]) -> tuple[int, int]:
    """How many pixels of the output differ at the border, and how many LR pixels are enough to compute them."""
    ring = 0
    for factor in factors:
        ring = ring * factor + 1
    strip = ring
    for factor in reversed(factors):
        strip = -(-(strip + 1) // factor)
    return ring, strip + 1


def _part(images: Tensor, dimension: int, start: int, end: int | None = None) -> Tensor:
    return images[:, :, start:end] if dimension == 2 else images[:, :, :, start:end]
