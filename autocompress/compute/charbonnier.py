"""A smooth absolute difference: what pruning and distillation both may learn by."""

from __future__ import annotations

from torch import Tensor


def charbonnier(sr: Tensor, target: Tensor, eps: float) -> Tensor:
    """Mean sqrt(d^2 + eps): Charbonnier et al. 1994; for super-resolution, Lai et al. 2017 (LapSRN)."""
    loss: Tensor = ((sr - target).square() + eps).sqrt().mean()
    return loss
