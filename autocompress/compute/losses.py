"""Losses between images (B, 3, H, W) in [0, 1], and by name those that a student can learn from its teacher by."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import torch
from torch import Tensor

from autocompress.errors import InvalidInput

Loss = Callable[[Tensor, Tensor], Tensor]

LEVELS = 5  # of the Laplacian pyramid
CHARBONNIER_EPS = 1e-6  # an error of 1e-3, a quarter of an 8-bit level, is where it turns from square to absolute


def l1(sr: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (sr - target).abs().mean()


def charbonnier(sr: Tensor, target: Tensor, eps: float) -> Tensor:
    """Mean sqrt(d^2 + eps): Charbonnier et al. 1994; for super-resolution, Lai et al. 2017 (LapSRN)."""
    loss: Tensor = ((sr - target).square() + eps).sqrt().mean()
    return loss


def multilap(sr: Tensor, target: Tensor) -> Tensor:
    """MultiLap of Jiang et al. 2024 (arXiv 2401.00523, section 2.3): Laplacian pyramids of images and of details.

    Lap(a, b) + Lap(a - blur(a), b - blur(b)), where Lap sums 2^i * mean|P_i(a) - P_i(b)| over the levels of a
    Laplacian pyramid P. All of it is linear in a - b and acts on rows and columns alike, so each step is a
    multiplication by one small matrix from the left and one from the right: beside a small student that costs little,
    where convolutions of single planes cost more than the student. Height and width must be multiples of 16 and at
    least 48, or InvalidInput is raised.
    """
    difference = (sr - target).contiguous().flatten(0, 1)
    height, width = difference.shape[1:]
    if min(height, width) < 3 * 2**LEVELS // 2 or height % 2 ** (LEVELS - 1) or width % 2 ** (LEVELS - 1):
        raise InvalidInput(
            f"multilap cannot compare images of {width}x{height} pixels: "
            f"sides must be multiples of {2 ** (LEVELS - 1)}, and at least {3 * 2**LEVELS // 2}"
        )
    rows, columns = (_matrices(side, sr.device, sr.dtype) for side in (height, width))
    levels = torch.cat((difference, difference - rows.blur @ difference @ columns.blur.T))
    total = difference.new_zeros(())
    for level in range(LEVELS - 1):
        rows, columns = (_matrices(side, sr.device, sr.dtype) for side in levels.shape[1:])
        coarse = rows.down @ levels @ columns.down.T
        total = total + 2**level * (levels - rows.up @ coarse @ columns.up.T).abs().mean()
        levels = coarse
    # the mean over the two halves of the batch is half the sum of their means
    loss: Tensor = 2 * (total + 2 ** (LEVELS - 1) * levels.abs().mean())
    return loss


class _Matrices(NamedTuple):
    """What the pyramid does to one side of an image, of n pixels."""

    blur: Tensor  # (n, n): the binomial filter, with reflected borders
    down: Tensor  # (n/2, n): the filter, then the mean of two pixels
    up: Tensor  # (n, n/2): zeros between the pixels, then twice the filter


@cache
def _matrices(side: int, device: torch.device, dtype: torch.dtype) -> _Matrices:
    blur = torch.zeros(side, side)
    reflected = side - 1 - (torch.arange(-2, side + 2).abs() - (side - 1)).abs()
    for pixel in range(side):
        for tap, weight in enumerate((1, 4, 6, 4, 1)):
            blur[pixel, reflected[pixel + tap]] += weight / 16
    steps = (blur, (blur[::2] + blur[1::2]) / 2, 2 * blur[:, ::2])
    return _Matrices(*(step.to(device, dtype) for step in steps))


TEACHER_LOSSES: dict[str, Loss] = {
    "l1": l1,
    "charbonnier": partial(charbonnier, eps=CHARBONNIER_EPS),
    "multilap": multilap,
}
