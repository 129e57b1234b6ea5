"""Shrinking an EDSR by keeping whole channels and blocks: the plain ways, which serve as controls.

Channels that the network adds or reshuffles together live or die together: those of the residual stream
in every convolution that reads or writes it, and the sub-pixels that PixelShuffle makes one channel of.

Blocks of another number of convolutions than the teacher's have nothing of their own to keep: one of 3 computes what
one of 2 does, with the identity in the middle, and one of 1 starts as nothing, at zero.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from autocompress.networks.edsr.network import EDSR, EDSRConfig, ResidualBlock, shuffle_factors
from autocompress.shrink.importance import Importance, largest, norm_importance, taylor_importance

Scores = Mapping[str, Tensor]  # of a convolution's name: the importance of each weight, (outputs, inputs, 3, 3)


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
        stream = largest(self.stream, size)
        self._copy(student.conv_first, "conv_first", stream, torch.arange(3))
        for new, old in enumerate(largest(self.blocks, config.num_block).tolist()):
            self._copy_block(student.body[new], old, stream)
        self._copy(student.conv_after_body, "conv_after_body", stream, stream)
        inputs = stream
        for stage, factor in enumerate(shuffle_factors(config.scale)):
            outputs = largest(self.hr[stage], size)
            sub_pixels = (outputs[:, None] * factor**2 + torch.arange(factor**2)).flatten()
            self._copy(student.upsample[2 * stage], f"upsample.{2 * stage}", sub_pixels, inputs)
            inputs = outputs
        self._copy(student.conv_last, "conv_last", torch.arange(3), inputs)
        return student

    def _copy_block(self, block: nn.Module, old: int, stream: Tensor) -> None:
        """Make a student's block from the teacher's block `old`."""
        assert isinstance(block, ResidualBlock)
        if block.num_layer == 1:
            for parameter in block.conv1.parameters():
                nn.init.zeros_(parameter)
            return
        inner = largest(self.inner[old], len(stream))
        self._copy(block.conv1, f"body.{old}.conv1", inner, stream)
        if block.num_layer == 3:
            block.pass_through()
        self._copy(block.last, f"body.{old}.conv2", stream, inner)

    def _copy(self, conv: nn.Module, name: str, outputs: Tensor, inputs: Tensor) -> None:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        conv.load_state_dict({"weight": weight[outputs][:, inputs], "bias": bias[outputs]})


def norm_scores(teacher: EDSR) -> dict[str, Tensor]:
    """The square of each weight: see `norm_importance`."""
    return by_conv(norm_importance(teacher, _weights(teacher)))


def taylor_scores(teacher: EDSR, lr: Tensor) -> dict[str, Tensor]:
    """The square of each weight times its gradient: see `taylor_importance`."""
    return by_conv(taylor_importance(teacher, teacher.scale, _weights(teacher), lr))


def _weights(network: EDSR) -> list[str]:
    return [f"{name}.weight" for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]


def by_conv(importance: Importance) -> dict[str, Tensor]:
    """Of the convolutions' weights alone, by the convolution's name."""
    return {name.removesuffix(".weight"): score for name, score in importance.items() if name.endswith(".weight")}


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
