"""The importance of single weights in any architecture, by which `copy` and `taylor` choose channels and blocks."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Importance = dict[str, Tensor]  # of a parameter's name: the importance of each of its elements
_CHUNK = 16  # patches in one backward pass


def norm_importance(teacher: nn.Module, names: Iterable[str]) -> Importance:
    """The square of each weight: their sum over a group is its squared L2 norm."""
    return {name: teacher.get_parameter(name).detach().square() for name in names}


def taylor_importance(teacher: nn.Module, scale: int, names: Iterable[str], lr: Tensor) -> Importance:
    """First-order Taylor importance, (weight * gradient)^2 (Molchanov et al., CVPR 2019, eq. 8).

    The loss is the L1 distance to the truth. Here the LR patches (B, 3, h, w) in [0, 1] are the truth: the network
    upscales versions of them that were made smaller by `scale` (bicubic, antialiased).
    """
    truth = lr[..., : lr.shape[-2] // scale * scale, : lr.shape[-1] // scale * scale]
    with torch.enable_grad():
        weights = {name: teacher.get_parameter(name).detach().requires_grad_() for name in names}
        total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        for hr in torch.split(truth, _CHUNK):
            small = F.interpolate(hr, scale_factor=1 / scale, mode="bicubic", antialias=True).clamp(0, 1)
            loss = F.l1_loss(torch.func.functional_call(teacher, weights, (small,)), hr)
            gradients = torch.autograd.grad(loss, list(weights.values()))
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
                total[name] += (weight.detach() * gradient).square()
    return {name: value.detach() for name, value in total.items()}


def largest(importance: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest along the last dimension, in ascending order."""
    return importance.topk(count).indices.sort().values
