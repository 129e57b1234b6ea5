"""EDSR: the network and its configuration.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution" (CVPRW 2017), in the
layout and under the key names of BasicSR's `edsr_arch.py`. EDSR-baseline is 64 features, 16 blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autocompress.convolution import Conv3x3
from autocompress.errors import ConfigError
from autocompress.families.base import Config, SRNetwork

IMG_RANGE = 255.0
RGB_MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K, as in both official implementations


@dataclass(frozen=True)
class EDSRConfig(Config):
    """`num_feat` channels in each of `num_block` residual blocks of two 3x3 convolutions."""

    num_feat: int = 64
    num_block: int = 16
    res_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.scale not in (2, 3, 4):
            raise ConfigError(f"scale is {self.scale}, but EDSR upscales by 2, 3 or 4")
        for name in ("num_feat", "num_block"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} is {value!r}, but must be a whole number >= 1")


def shuffle_factors(scale: int) -> tuple[int, ...]:
    """The upscaling factors of the PixelShuffle stages, in order: x4 is done as x2 twice."""
    return (2, 2) if scale == 4 else (scale,)


class ResidualBlock(nn.Module):
    """x + res_scale * conv2(relu(conv1(x))), without normalisation."""

    def __init__(self, num_feat: int, res_scale: float) -> None:
        super().__init__()
        self.res_scale = res_scale
        self.conv1 = Conv3x3(num_feat, num_feat)
        self.conv2 = Conv3x3(num_feat, num_feat)

    def forward(self, x: Tensor) -> Tensor:
        """(B, num_feat, H, W) to the same shape."""
        residual: Tensor = self.conv2(F.relu(self.conv1(x)))
        return x + residual if self.res_scale == 1 else x + self.res_scale * residual


class EDSR(SRNetwork):
    """EDSR for RGB images; the mean shift and the range of 255 are inside."""

    family = "edsr"
    config: EDSRConfig
    mean: Tensor

    def __init__(self, config: EDSRConfig) -> None:
        super().__init__(config)
        feat = config.num_feat
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(1, 3, 1, 1), persistent=False)
        self.conv_first = Conv3x3(3, feat)
        self.body = nn.Sequential(*(ResidualBlock(feat, config.res_scale) for _ in range(config.num_block)))
        self.conv_after_body = Conv3x3(feat, feat)
        stages: list[nn.Module] = []
        for factor in shuffle_factors(config.scale):
            stages += [Conv3x3(feat, feat * factor**2), nn.PixelShuffle(factor)]
        self.upsample = nn.Sequential(*stages)
        self.conv_last = Conv3x3(feat, 3)

    def repeated(self) -> list[nn.Module]:
        """The residual blocks."""
        return list(self.body)

    def forward(self, lr: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, 3, scale*H, scale*W)."""
        first = self.conv_first((lr - self.mean) * IMG_RANGE)
        features = self.conv_after_body(self.body(first)) + first
        sr: Tensor = self.conv_last(self.upsample(features))
        return sr / IMG_RANGE + self.mean


def conv_shapes(config: EDSRConfig) -> list[tuple[int, int, int]]:
    """(inputs, outputs, output pixels for each LR pixel) of every convolution, in order."""
    feat = config.num_feat
    shapes = [(3, feat, 1)] + [(feat, feat, 1)] * (2 * config.num_block + 1)
    pixels = 1
    for factor in shuffle_factors(config.scale):
        shapes.append((feat, feat * factor**2, pixels))
        pixels *= factor**2
    return [*shapes, (feat, 3, pixels)]
