"""Fake quantisation: a network that is trained with its layers rounded as an int8 file rounds them.

After Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (CVPR
2018): weights and inputs of a layer are rounded to 8 bits in the forward pass, and gradients go straight through.
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


class _Rounded(nn.Module):
    """What layers have whose weights are rounded to int8, a scale for each output, and whose inputs to uint8."""

    weight: Tensor
    low: Tensor
    high: Tensor

    def _rounded(self, input: Tensor) -> tuple[Tensor, Tensor]:
        """The input and the weight; while training, the range of the inputs follows them."""
        if self.training:
            self._follow(input.detach())
        scale = ((self.high - self.low) / 255).clamp(min=SMALLEST)
        zero = (-self.low / scale).round().clamp(0, 255).to(torch.int32)
        rounded = torch.fake_quantize_per_tensor_affine(input.float(), scale, zero, 0, 255)
        scales = (self.weight.detach().abs().flatten(1).amax(1) / 127).clamp(min=SMALLEST)
        weight = torch.fake_quantize_per_channel_affine(
            self.weight, scales, torch.zeros_like(scales, dtype=torch.int32), 0, -127, 127
        )
        return rounded, weight

    def _follow(self, input: Tensor) -> None:
        low, high = input.amin().float().clamp(max=0), input.amax().float().clamp(min=0)
        first = self.low.isnan()
        self.low.copy_(torch.where(first, low, self.low.lerp(low, MOMENTUM)))
        self.high.copy_(torch.where(first, high, self.high.lerp(high, MOMENTUM)))


class _RoundedConv2d(_Rounded, nn.Conv2d):
    """A convolution that is rounded."""

    @override
    def forward(self, input: Tensor) -> Tensor:
        result: Tensor = self._conv_forward(*self._rounded(input), self.bias)
        return result


class _RoundedLinear(_Rounded, nn.Linear):
    """A linear layer that is rounded."""

    @override
    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.linear(*self._rounded(input), self.bias)


def with_fake_quantisation(network: SRNetwork, whole: int = 1) -> SRNetwork:
    """A copy of a network as `Family.for_export` makes it, whose layers are rounded as the int8 file's are.

    Its convolutions are, but the first ones, `whole` in number, those that are one at LR in the file, and else the last
    if it computes at LR; or its linear layers, where there are more of them than convolutions, as in transformers.
    """
    family = family_of(network)
    rounded = family.for_export(network)
    linear = [module for module in rounded.modules() if type(module) is nn.Linear]
    if len(linear) > sum(type(module) is nn.Conv2d for module in rounded.modules()):
        for layer in linear:
            _round(layer, _RoundedLinear)
        return rounded
    in_file = dict(family.for_programs(network).named_modules())
    all_of_it = [(name, module) for name, module in rounded.named_modules() if type(module) is nn.Conv2d]
    kept = [module for name, module in all_of_it if type(in_file.get(name)) is nn.Conv2d]
    others = kept[whole:]
    if len(kept) == len(all_of_it) and others and stays_whole(others[-1].out_channels):
        others.pop()
    for convolution in others:
        _round(convolution, _RoundedConv2d)
    return rounded


def _round(layer: nn.Conv2d | nn.Linear, kind: type[_Rounded]) -> None:
    layer.__class__ = kind  # type: ignore[assignment] # of the same kind of layer
    for name in RANGE:
        layer.register_buffer(name, torch.tensor(float("nan"), device=layer.weight.device))


def without_fake_quantisation(network: SRNetwork) -> SRNetwork:
    """The plain network with the weights of one that is as `with_fake_quantisation` makes it, in eval mode."""
    rounded = [name for name, module in network.named_modules() if isinstance(module, _Rounded)]
    ranges = {f"{name}.{side}" for name in rounded for side in RANGE}
    weights = {name: tensor for name, tensor in network.state_dict().items() if name not in ranges}
    return with_weights(family_of(network), network.config, weights)
