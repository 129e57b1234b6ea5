"""Compact: the network and its configuration.

The plain form of Real-ESRGAN's small models (Wang et al., "Real-ESRGAN: Training Real-World Blind Super-Resolution with
Pure Synthetic Data", ICCVW 2021), there called SRVGGNetCompact, whose key names it has: convolutions with PReLU at LR,
one to sub-pixels of RGB, and the image itself, its pixels repeated, added to that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from autocompress.compute.convolution import conv3x3
from autocompress.networks.base import check_whole
from autocompress.networks.known_network import KnownConfig, KnownNetwork
from autocompress.networks.layers import Layer, conv
from autocompress.networks.tails import check_scale


@dataclass(frozen=True)
class CompactConfig(KnownConfig):
    """`num_conv` 3x3 convolutions of `num_feat` channels, between one that reads RGB and one that makes sub-pixels."""

    num_feat: int = 64
    num_conv: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.scale, "Compact")
        check_whole("num_feat", self.num_feat, 1)
        check_whole("num_conv", self.num_conv, 0)

    @property
    def conv_shapes(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of every convolution, in order."""
        feat = self.num_feat
        return [(3, feat), *[(feat, feat)] * self.num_conv, (feat, 3 * self.scale**2)]

    @override
    def layers(self) -> list[Layer]:
        """Every convolution, and the slopes of its activation."""
        *hidden, last = self.conv_shapes
        slopes = (Layer(0, outputs) for _, outputs in hidden)
        return [*(conv(*shape) for shape in (*hidden, last)), *slopes]

    @override
    def official_code(self) -> tuple[str, str] | None:
        """Of Real-ESRGAN."""
        fields = f"num_feat={self.num_feat}, num_conv={self.num_conv}, upscale={self.scale}"
        build = f'network = SRVGGNetCompact(num_in_ch=3, num_out_ch=3, {fields}, act_type="prelu")'
        return "from realesrgan.archs.srvgg_arch import SRVGGNetCompact", build


class Compact(KnownNetwork):
    """Compact for RGB images in [0, 1]."""

    family = "compact"
    config: CompactConfig

    def __init__(self, config: CompactConfig) -> None:
        super().__init__(config)
        *hidden, last = config.conv_shapes
        layers: list[nn.Module] = []
        for inputs, outputs in hidden:
            layers += [conv3x3(inputs, outputs), nn.PReLU(outputs)]
        self.body = nn.Sequential(*layers, conv3x3(*last))

    @property
    def hidden(self) -> list[tuple[nn.Conv2d, nn.PReLU]]:
        """The convolutions but for the last, each with the activation behind it."""
        *convs, _ = (module for module in self.body if isinstance(module, nn.Conv2d))
        activations = (module for module in self.body if isinstance(module, nn.PReLU))
        return list(zip(convs, activations, strict=True))

    @override
    def features(self, lr: Tensor) -> Tensor:
        """The sub-pixels of RGB, (B, 3 scale^2, H, W)."""
        result: Tensor = self.body(lr) + repeated_pixels(lr, self.scale)
        return result

    @override
    def upsampled(self, features: Tensor, height: int, width: int) -> Tensor:
        return nn.functional.pixel_shuffle(features, self.scale)

    @override
    def repeated(self) -> list[nn.Module]:
        """Nothing that were worth compiling by itself: convolutions and activations stand in one row."""
        return [self.body]


def repeated_pixels(lr: Tensor, scale: int) -> Tensor:
    """The sub-pixels (B, 3 scale^2, H, W) of an image whose pixels are repeated."""
    red, green, blue = (lr[:, channel : channel + 1] for channel in range(3))
    return torch.cat([red] * scale**2 + [green] * scale**2 + [blue] * scale**2, 1)  # ncnn has no `expand`
