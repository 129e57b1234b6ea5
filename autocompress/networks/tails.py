"""What upsamples at the end of a network: convolutions that PixelShuffles follow."""

from __future__ import annotations

from typing import Protocol

from torch import nn

from autocompress.compute.convolution import conv3x3
from autocompress.errors import ConfigError
from autocompress.networks.folding import KERNEL, FoldedTail
from autocompress.networks.layers import Layer, conv

SCALES = (2, 3, 4)


class PlainTail(Protocol):
    """A network that ends in these two, one behind the other: see `plain_tail`."""

    upsample: nn.Sequential
    conv_last: nn.Module


def check_scale(scale: int, network: str) -> None:
    """Raise ConfigError for a scale that the network of this name has not."""
    if scale not in SCALES:
        raise ConfigError(f"scale is {scale}, but {network} upscales by 2, 3 or 4")


def shuffle_factors(scale: int) -> tuple[int, ...]:
    """The upscaling factors of the PixelShuffle stages, in order: x4 is done as x2 twice."""
    return (2, 2) if scale == 4 else (scale,)


def stages(inputs: int, outputs: int, factors: tuple[int, ...]) -> nn.Sequential:
    """(B, inputs, H, W) to (B, outputs, scale*H, scale*W) by a convolution and a PixelShuffle for each factor."""
    made = list[nn.Module]()
    for factor in factors:
        made += [conv3x3(inputs, outputs * factor**2), nn.PixelShuffle(factor)]
    return nn.Sequential(*made)


def tail_of(network: PlainTail) -> nn.Module:
    """What upsamples: (B, channels, H, W) to (B, 3, scale*H, scale*W)."""
    return nn.Sequential(network.upsample, network.conv_last)


def fold_tail(network: PlainTail, channels: int, scale: int) -> None:
    """Have a network compute the same by one convolution, but for the border: see `folding.FoldedTail`."""
    network.upsample = nn.Sequential(FoldedTail(tail_of(network), channels, shuffle_factors(scale)))
    network.conv_last = nn.Identity()


def plain_tail(channels: int, scale: int) -> list[Layer]:
    """The stages that keep so many channels, and one more convolution, to RGB."""
    layers, pixels = list[Layer](), 1
    for factor in shuffle_factors(scale):
        layers.append(conv(channels, channels * factor**2, pixels))
        pixels *= factor**2
    return [*layers, conv(channels, 3, pixels)]


def folded_tail(channels: int, scale: int) -> Layer:
    """The one convolution that equals it inside of images: see `folding`."""
    return conv(channels, 3 * scale**2, kernel=KERNEL)
