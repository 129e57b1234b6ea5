"""What the layers of a network cost, in closed form, as fvcore counts them; and their receptive field."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from autocompress.compute.flops import at_720p


class Layer(NamedTuple):
    """FLOPs (fused multiply-adds) for each LR pixel, parameters, and the LR pixels that it reads to each side."""

    flops: int
    params: int
    reach: float = 0


def conv(inputs: int, outputs: int, pixels: int = 1, kernel: int = 3) -> Layer:
    """A convolution with biases that keeps the size; at `pixels` pixels for each LR pixel."""
    weights = kernel**2 * inputs * outputs
    return Layer(weights * pixels, weights + outputs, kernel // 2 / math.sqrt(pixels))


def linear(inputs: int, outputs: int) -> Layer:
    """A linear map of each pixel, with biases."""
    return conv(inputs, outputs, kernel=1)


def norm(channels: int) -> Layer:
    """A layer norm of each pixel, of which fvcore counts 5 FLOPs an element."""
    return Layer(5 * channels, 2 * channels)


def flops_at_720p(layers: Iterable[Layer], scale: int) -> int:
    """FLOPs for an output of 1280x720 pixels."""
    return at_720p(sum(layer.flops for layer in layers), scale)


def receptive_radius(layers: Iterable[Layer]) -> int:
    """LR pixels to each side that a pixel of the output depends on, where the layers stand behind each other."""
    return math.ceil(sum(layer.reach for layer in layers))
