"""Shrinking an EDSR by keeping whole channels and blocks: the plain ways, which serve as controls.

Channels that the network adds or reshuffles together live or die together: those of the residual stream
in every convolution that reads or writes it, and the sub-pixels that PixelShuffle makes one channel of.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autocompress.families.edsr.network import EDSR, EDSRConfig, shuffle_factors

Scores = Mapping[str, Tensor]  # of a convolution's name: the importance of each weight, (outputs, inputs, 3, 3)
_CHUNK = 16  # patches whose gradient is taken together


class Selection:
    """Makes students of `teacher`, an EDSR with res_scale 1, by keeping its most important parts.

    `scores` are the importance of its weights, by `norm_scores` or `taylor_scores`. A channel's or a block's
    importance is the sum over all its weights. What stays keeps its order.
    """

    def __init__(self, teacher: EDSR, scores: Scores) -> None:
        self.weights = {key: value.detach() for key, value in teacher.state_dict().items()}
        num_block = teacher.config.num_block
        self.blocks = torch.stack(
            [scores[f"body.{i}.conv1"].sum() + scores[f"body.{i}.conv2"].sum() for i in range(num_block)]
        )
        self.stream = _stream_importance(scores, num_block)
        self.inner = [_written(scores[f"body.{i}.conv1"]) + _read(scores[f"body.{i}.conv2"]) for i in range(num_block)]
        self.hr = _hr_importance(scores, shuffle_factors(teacher.scale))

    @torch.no_grad()
    def __call__(self, config: EDSRConfig) -> EDSR:
        """The student of this configuration, in eval mode."""
        student = EDSR(config).eval()
        size = config.num_feat
        stream = _largest(self.stream, size)
        self._copy(student.conv_first, "conv_first", stream, torch.arange(3))
        for new, old in enumerate(_largest(self.blocks, config.num_block).tolist()):
            inner = _largest(self.inner[old], size)
            block = student.body[new]
            self._copy(block.get_submodule("conv1"), f"body.{old}.conv1", inner, stream)
            self._copy(block.get_submodule("conv2"), f"body.{old}.conv2", stream, inner)
        self._copy(student.conv_after_body, "conv_after_body", stream, stream)
        inputs = stream
        for stage, factor in enumerate(shuffle_factors(config.scale)):
            outputs = _largest(self.hr[stage], size)
            sub_pixels = (outputs[:, None] * factor**2 + torch.arange(factor**2)).flatten()
            self._copy(student.upsample[2 * stage], f"upsample.{2 * stage}", sub_pixels, inputs)
            inputs = outputs
        self._copy(student.conv_last, "conv_last", torch.arange(3), inputs)
        return student

    def _copy(self, conv: nn.Module, name: str, outputs: Tensor, inputs: Tensor) -> None:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        conv.load_state_dict({"weight": weight[outputs][:, inputs], "bias": bias[outputs]})


def norm_scores(teacher: EDSR) -> dict[str, Tensor]:
    """By weight norm: the square of each weight: their sum over a group is its squared L2 norm."""
    return {name: conv.weight.detach().square() for name, conv in _convs(teacher)}


def taylor_scores(teacher: EDSR, lr: Tensor) -> dict[str, Tensor]:
    """First-order Taylor importance, (weight * gradient)^2 (Molchanov et al., CVPR 2019, eq. 8).

    The loss is the L1 distance to the truth, one scale down: the patches are the truth, and what the
    network upscales is the patches made smaller (bicubic, antialiased).
    """
    scale = teacher.scale
    truth = lr[..., : lr.shape[-2] // scale * scale, : lr.shape[-1] // scale * scale]
    convs = _convs(teacher)
    scores = {name: torch.zeros_like(conv.weight) for name, conv in convs}
    with torch.enable_grad():
        weights = {f"{name}.weight": conv.weight.detach().requires_grad_() for name, conv in convs}
        for hr in torch.split(truth, _CHUNK):
            small = F.interpolate(hr, scale_factor=1 / scale, mode="bicubic", antialias=True).clamp(0, 1)
            loss = F.l1_loss(torch.func.functional_call(teacher, weights, (small,)), hr)
            gradients = torch.autograd.grad(loss, list(weights.values()))
            for (name, conv), gradient in zip(convs, gradients, strict=True):
                scores[name] += (conv.weight.detach() * gradient).square()
    return {name: score.detach() for name, score in scores.items()}


def _convs(network: EDSR) -> list[tuple[str, nn.Conv2d]]:
    return [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]


def _written(score: Tensor) -> Tensor:
    """Importance of the channels that a convolution writes."""
    return score.sum((1, 2, 3))


def _read(score: Tensor) -> Tensor:
    """Importance of the channels that a convolution reads."""
    return score.sum((0, 2, 3))


def _stream_importance(scores: Scores, num_block: int) -> Tensor:
    """Importance of the residual stream's channels, over all that reads or writes them."""
    after = scores["conv_after_body"]
    total = _written(scores["conv_first"]) + _written(after) + _read(after) + _read(scores["upsample.0"])
    for i in range(num_block):
        total = total + _read(scores[f"body.{i}.conv1"]) + _written(scores[f"body.{i}.conv2"])
    return total


def _hr_importance(scores: Scores, factors: tuple[int, ...]) -> list[Tensor]:
    """Importance of the channels after each PixelShuffle: of their sub-pixels, and of what reads them."""
    names = [*(f"upsample.{2 * stage}" for stage in range(len(factors))), "conv_last"]
    return [
        _written(scores[writer]).view(-1, factor**2).sum(1) + _read(scores[reader])
        for factor, writer, reader in zip(factors, names[:-1], names[1:], strict=True)
    ]


def _largest(importance: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest, in ascending order."""
    return importance.topk(count).indices.sort().values
