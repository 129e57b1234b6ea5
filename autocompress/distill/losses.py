"""The loss terms that a student can learn from its teacher by. Each takes images (B, 3, H, W) in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]

LEVELS = 5  # of the Laplacian pyramid


def l1(sr: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (sr - target).abs().mean()


def multilap(sr: Tensor, target: Tensor) -> Tensor:
    """MultiLap of Jiang et al. 2024 (arXiv 2401.00523, section 2.3): Laplacian pyramids of images and of details.

    Lap(a, b) + Lap(a - blur(a), b - blur(b)), where Lap sums 2^i * mean|P_i(a) - P_i(b)| over the levels of a
    Laplacian pyramid P. P and blur are linear, so they are applied to the difference, both of them in one batch.
    Height and width must be at least 3 at the coarsest level (48 for five levels).
    """
    difference = sr - target
    blurred = _blur(difference)
    levels = torch.cat((difference, difference - blurred))
    smooth = torch.cat((blurred, _blur(levels[len(difference) :])))
    total = difference.new_zeros(())
    for level in range(LEVELS - 1):
        if level:
            smooth = _blur(levels)
        coarse = F.avg_pool2d(smooth, 2)
        total = total + 2**level * (levels - _expand(coarse, levels)).abs().mean()
        levels = coarse
    # the mean over the two halves of the batch is half the sum of their means
    loss: Tensor = 2 * (total + 2 ** (LEVELS - 1) * levels.abs().mean())
    return loss


def _blur(image: Tensor) -> Tensor:
    """The 5x5 binomial filter with reflected borders, as two passes over all channels alike."""
    planes, kernel = image.flatten(0, 1)[:, None], _binomial(image)
    rows = F.conv2d(F.pad(planes, (0, 0, 2, 2), mode="reflect"), kernel.view(1, 1, 5, 1))
    both = F.conv2d(F.pad(rows, (2, 2, 0, 0), mode="reflect"), kernel.view(1, 1, 1, 5))
    return both.view_as(image)


def _expand(coarse: Tensor, like: Tensor) -> Tensor:
    """To the size of `like`: zeros between the pixels, then four times the same filter."""
    sparse = torch.zeros_like(like)
    sparse[..., ::2, ::2] = coarse
    return 4 * _blur(sparse)


def _binomial(like: Tensor) -> Tensor:
    return torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=like.dtype, device=like.device) / 16


TEACHER_LOSSES: dict[str, Loss] = {"l1": l1, "multilap": multilap}
