"""What a convolution of any kernel, stride, padding and dilation reads at some of the pixels that it makes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from autocompress.shrink.graph import Layer

Pair = tuple[int, int]  # of rows and columns


@dataclass(frozen=True)
class Taps:
    """The pixels that a convolution reads; only those that are asked for are looked up."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    @classmethod
    def of(cls, layer: Layer, weight: Tensor) -> Taps:
        """Those of a captured convolution with this weight."""
        kernel = weight.shape[2], weight.shape[3]
        stride, dilation = (_pair(layer.argument(*each)) for each in (("stride", 3, [1]), ("dilation", 5, [1])))
        padding = layer.argument("padding", 4, [0])
        if padding == "same":
            return cls(kernel, stride, _half(kernel, dilation), dilation)
        return cls(kernel, stride, (0, 0) if padding == "valid" else _pair(padding), dilation)

    def at(self, image: Tensor, positions: Tensor, width: int) -> Tensor:
        """What is read of an image (1, C, h, w), (N, taps * C): tap by tap, all channels of each.

        For positions (N,) among the pixels that are made, in rows of `width`.
        """
        padded = F.pad(image[0], (self.padding[1], self.padding[1], self.padding[0], self.padding[0])).permute(1, 2, 0)
        row, column = positions // width, positions % width
        corner = row * (self.stride[0] * padded.shape[1]) + column * self.stride[1]
        down, right = (
            torch.arange(taps, device=positions.device) * step
            for taps, step in zip(self.kernel, self.dilation, strict=True)
        )
        steps = (down[:, None] * padded.shape[1] + right).flatten()
        return padded.reshape(-1, padded.shape[2])[corner[:, None] + steps].flatten(1)


def _pair(numbers: list[int]) -> Pair:
    return numbers[0], numbers[-1]


def _half(kernel: Pair, dilation: Pair) -> Pair:
    return dilation[0] * (kernel[0] - 1) // 2, dilation[1] * (kernel[1] - 1) // 2
