"""The importance of single weights, and of the channels, heads and parts that they belong to: how `taylor` and
`density` choose what stays."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autocompress.shrink.observation import Teacher
from autocompress.shrink.parts import is_within, repeated_parts

Importance = Mapping[str, Tensor]  # of each element of the parameters, by their names in a network's state dict
_CHUNK = 16  # patches in one backward pass


def taylor_importance(teacher: nn.Module, scale: int, lr: Tensor) -> Importance:
    """First-order Taylor importance, (weight * gradient)^2 (Molchanov et al., CVPR 2019, eq. 8).

    The loss is the L1 distance to the truth. Here the LR patches (B, 3, h, w) in [0, 1] are the truth: the network
    upscales versions of them that were made smaller by `scale` (bicubic, antialiased).
    """
    truth = lr[..., : lr.shape[-2] // scale * scale, : lr.shape[-1] // scale * scale]
    with torch.enable_grad():
        weights = {name: weight.detach().requires_grad_() for name, weight in teacher.named_parameters()}
        total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        for hr in torch.split(truth, _CHUNK):
            small = F.interpolate(hr, scale_factor=1 / scale, mode="bicubic", antialias=True).clamp(0, 1)
            loss = F.l1_loss(torch.func.functional_call(teacher, weights, (small,)), hr)
            gradients = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
                total[name] += (weight.detach() * gradient).square()
    names = {id(weight): name for name, weight in teacher.state_dict(keep_vars=True).items()}
    return {names[id(weight)]: total[name].detach() for name, weight in teacher.named_parameters()}


def summed(teacher: Teacher, importance: Importance) -> dict[str, Tensor]:
    """The importance of what a student may have fewer of: the sums over all weights that belong to each.

    By name as `observe` has it: `importance.N` (heads, size) of axis N, `heads.N` (count,) of attention N, and
    `parts.PREFIX` (count, count), with nothing for two together. A parameter without an importance counts as nothing;
    buffers do not count.
    """
    counted = teacher.graph.used & teacher.graph.learned & importance.keys()
    scores = {name: importance[name].double().cpu() for name in counted}
    axes, attentions = enumerate(teacher.channels.axes), enumerate(teacher.channels.heads)
    found = {f"importance.{number}": torch.zeros(axis.heads, axis.size).double() for number, axis in axes}
    for (name, dimension), uses in teacher.channels.uses.items():
        for use in uses if name in scores else ():
            rows = _along(scores[name], dimension)[use.rows.T]
            found[f"importance.{use.axis}"].index_add_(0, use.heads, rows)
    for number, heads in attentions:
        total = torch.zeros(heads.count).double()
        for (name, dimension), rows in heads.rows.items():
            total += _along(scores[name], dimension)[rows].sum(1) if name in scores else 0
        found[f"heads.{number}"] = total
    of_names = {name: score.sum() for name, score in scores.items()}
    for parts in repeated_parts(teacher.graph.shapes):
        total = torch.zeros(len(parts.units)).double()
        for index in range(len(parts.units)):
            paths = parts.paths(index)
            total[index] += sum(score for name, score in of_names.items() if any(is_within(name, p) for p in paths))
        found[f"parts.{parts.prefix}"] = total.diag()
    return found


def _along(score: Tensor, dimension: int) -> Tensor:
    """The sum (n,) of each row of a dimension."""
    return score.movedim(dimension, 0).flatten(1).sum(1) if score.dim() > 1 else score
