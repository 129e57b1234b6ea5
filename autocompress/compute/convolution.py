"""The 3x3 convolution that all families are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

WIDE = 64  # channels from which on cuDNN's bf16 kernels for the gradient of a weight are fast


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def speed_up_on_gpu(network: nn.Module) -> None:
    """Give the 3x3 convolutions of a network, whatever its family, the faster gradient of `_Narrow`.

    Keys, values and results stay as they are, up to the rounding of bf16.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and _keeps_the_size(module):
            module.__class__ = _NarrowConv2d


def exempt_from_autocast(layers: Iterable[nn.Module]) -> None:
    """Have these convolutions computed in float32, also where autocast computes others in bf16; other layers stay."""
    for layer in layers:
        if type(layer) in _EXACT:
            layer.__class__ = _EXACT[type(layer)]


class _ExactConv2d(nn.Conv2d):
    @override
    def forward(self, input: Tensor) -> Tensor:
        return _in_float32(super().forward, input)


class _ExactConvTranspose2d(nn.ConvTranspose2d):
    @override
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        return _in_float32(partial(super().forward, output_size=output_size), input)


def _in_float32(convolve: Callable[[Tensor], Tensor], input: Tensor) -> Tensor:
    device = input.device.type
    if not torch.is_autocast_enabled(device):
        return convolve(input)
    with torch.autocast(device, enabled=False):
        return convolve(input.float())


_EXACT: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: _ExactConv2d,
    nn.ConvTranspose2d: _ExactConvTranspose2d,
}


def _keeps_the_size(conv: nn.Conv2d) -> bool:
    numbers = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups, conv.padding_mode)
    return numbers == ((3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros") and conv.bias is not None


class _NarrowConv2d(nn.Conv2d):
    @override
    def forward(self, input: Tensor) -> Tensor:
        if input.is_cuda and torch.is_grad_enabled() and torch.is_autocast_enabled("cuda"):
            result: Tensor = _Narrow.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return result
        return super().forward(input)


class _Narrow(torch.autograd.Function):
    """A 3x3 convolution with a faster gradient of the weight, for bf16 on a GPU.

    cuDNN needs 250 us for the weight's gradient of 16 channels but 30 us for that of 64 (H100, 16 images of 48x48), and
    250 us is ten times what the input's gradient needs. So channels of zeros are added before it is computed.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.bfloat16)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=1)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_x = _gradients(gradient, x, weight, (True, False))[0] if ctx.needs_input_grad[0] else None
        outputs, inputs = weight.shape[:2]
        wide = weight.new_zeros(max(outputs, WIDE), max(inputs, WIDE), 3, 3)
        of_weight = _gradients(_widened(gradient), _widened(x), wide, (False, True))[1]
        return of_x, of_weight[:outputs, :inputs], gradient.sum((0, 2, 3))


def _gradients(gradient: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool]) -> tuple[Tensor, Tensor]:
    one = [1, 1]
    of_x, of_weight, _ = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, one, one, one, False, [0, 0], 1, [*wanted, False]
    )
    return of_x, of_weight


def _widened(features: Tensor) -> Tensor:
    """With channels of zeros, up to WIDE."""
    missing = max(0, WIDE - features.shape[1])
    return F.pad(features, (0, 0, 0, 0, 0, missing)).contiguous(memory_format=torch.channels_last)
