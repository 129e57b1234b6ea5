"""Fake quantisation: a network that is trained with its convolutions rounded as an int8 file rounds them.

After Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (CVPR
2018): weights and inputs of a convolution are rounded to 8 bits in the forward pass, and gradients go straight through.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from autocompress.export.int8 import stays_whole
from autocompress.networks import family_of
from autocompress.networks.base import SRNetwork
from autocompress.networks.weights import with_weights

MOMENTUM = 0.01  # of the moving averages of the smallest and largest inputs
RANGE = ("low", "high")
SMALLEST = 1e-8  # scale: of a channel of zeros too


class _RoundedConv2d(nn.Conv2d):
    """A convolution whose weights are rounded to int8, a scale for each output, and whose inputs to uint8."""

    low: Tensor
    high: Tensor

    @override
    def forward(self, input: Tensor) -> Tensor:
        """As of a convolution; while training, the range of its inputs follows them."""
        if self.training:
            self._follow(input.detach())
        scale = ((self.high - self.low) / 255).clamp(min=SMALLEST)
        zero = (-self.low / scale).round().clamp(0, 255).to(torch.int32)
        rounded = torch.fake_quantize_per_tensor_affine(input.float(), scale, zero, 0, 255)
        scales = (self.weight.detach().abs().amax((1, 2, 3)) / 127).clamp(min=SMALLEST)
        weight = torch.fake_quantize_per_channel_affine(
            self.weight, scales, torch.zeros_like(scales, dtype=torch.int32), 0, -127, 127
        )
        result: Tensor = self._conv_forward(rounded, weight, self.bias)
        return result

    def _follow(self, input: Tensor) -> None:
        low, high = input.amin().float().clamp(max=0), input.amax().float().clamp(min=0)
        first = self.low.isnan()
        self.low.copy_(torch.where(first, low, self.low.lerp(low, MOMENTUM)))
        self.high.copy_(torch.where(first, high, self.high.lerp(high, MOMENTUM)))


def with_fake_quantisation(network: SRNetwork) -> SRNetwork:
    """A copy of a network as `Family.for_export` makes it, whose convolutions are rounded as the int8 file's are.

    The first one is not, nor those that are one at LR in the file, nor else the last if it computes at LR.
    """
    family = family_of(network)
    rounded = family.for_export(network)
    in_file = dict(family.for_programs(network).named_modules())
    all_of_it = [(name, module) for name, module in rounded.named_modules() if type(module) is nn.Conv2d]
    _, *others = (module for name, module in all_of_it if type(in_file.get(name)) is nn.Conv2d)
    if len(others) + 1 == len(all_of_it) and stays_whole(others[-1].out_channels):
        others.pop()
    for convolution in others:
        convolution.__class__ = _RoundedConv2d
        for name in RANGE:
            convolution.register_buffer(name, torch.tensor(float("nan"), device=convolution.weight.device))
    return rounded


def without_fake_quantisation(network: SRNetwork) -> SRNetwork:
    """The plain network with the weights of one that is as `with_fake_quantisation` makes it, in eval mode."""
    rounded = [name for name, module in network.named_modules() if isinstance(module, _RoundedConv2d)]
    ranges = {f"{name}.{side}" for name in rounded for side in RANGE}
    weights = {name: tensor for name, tensor in network.state_dict().items() if name not in ranges}
    return with_weights(family_of(network), network.config, weights)
