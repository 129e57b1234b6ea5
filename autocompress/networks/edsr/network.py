"""EDSR: the network and its configuration.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution" (CVPRW 2017), in the
layout and under the key names of BasicSR's `edsr_arch.py`. EDSR-baseline is 64 features, 16 blocks. The official
network has 2 convolutions in each block, and its tail upsamples by a convolution and a PixelShuffle (twice at x4)
before one more convolution. 1 and 3 convolutions, and a folded tail, are ours, and load nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from autocompress.compute.convolution import conv3x3
from autocompress.errors import ConfigError
from autocompress.networks.base import check_whole
from autocompress.networks.folding import folded_convolution
from autocompress.networks.known_network import KnownConfig, KnownNetwork, rgb_mean
from autocompress.networks.layers import Layer, conv, flops_at_720p
from autocompress.networks.tails import check_scale, fold_tail, folded_tail, plain_tail, shuffle_factors, stages

IMG_RANGE = 255.0
OFFICIAL_LAYERS = 2  # convolutions in each residual block
MAX_LAYERS = 3
PLAIN, FOLDED = TAILS = ("plain", "folded")


@dataclass(frozen=True)
class EDSRConfig(KnownConfig):
    """`num_feat` channels in each of `num_block` residual blocks of `num_layer` 3x3 convolutions.

    A `folded` tail is one 5x5 convolution and a PixelShuffle, which is what the `plain` one computes inside of images.
    """

    num_feat: int = 64
    num_block: int = 16
    num_layer: int = OFFICIAL_LAYERS
    res_scale: float = 1.0
    tail: str = PLAIN

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.scale, "EDSR")
        check_whole("num_feat", self.num_feat, 1)
        check_whole("num_block", self.num_block, 1)
        check_whole("num_layer", self.num_layer, 1, MAX_LAYERS)
        if not isinstance(self.res_scale, int | float) or isinstance(self.res_scale, bool):
            raise ConfigError(f"res_scale is {self.res_scale!r}, but must be a number")
        if self.tail not in TAILS:
            raise ConfigError(f"tail is {self.tail!r}, but must be one of {', '.join(TAILS)}")

    @property
    def official(self) -> bool:
        """Whether official code has such a network."""
        return self.num_layer == OFFICIAL_LAYERS and self.tail == PLAIN

    @override
    def to_dict(self) -> dict[str, Any]:
        """With `num_layer` and `tail` only where they are not the official ones.

        So an ordinary network is described, hashed and recognised as it was when there was no other.
        """
        fields = super().to_dict()
        if self.num_layer == OFFICIAL_LAYERS:
            del fields["num_layer"]
        if self.tail == PLAIN:
            del fields["tail"]
        return fields

    @override
    def layers(self) -> list[Layer]:
        """Every convolution, in order."""
        feat, folded = self.num_feat, self.tail == FOLDED
        body = [conv(feat, feat)] * (self.num_layer * self.num_block + 1)
        return [conv(3, feat), *body, *([folded_tail(feat, self.scale)] if folded else plain_tail(feat, self.scale))]

    @override
    def program_layers(self) -> list[Layer]:
        """With a tail of one convolution, where that is less work."""
        forms = (replace(self, tail=tail).layers() for tail in (self.tail, FOLDED))
        return min(forms, key=lambda layers: flops_at_720p(layers, self.scale))

    @override
    def official_code(self) -> tuple[str, str] | None:
        """Of BasicSR; it has no other numbers of convolutions per block, and no folded tail."""
        if not self.official:
            return None
        build = f"EDSR(3, 3, num_feat={self.num_feat}, num_block={self.num_block}, upscale={self.scale}, res_scale=1)"
        return "from basicsr.archs.edsr_arch import EDSR", f"network = {build}"


class ResidualBlock(nn.Module):
    """x + res_scale * conv2(relu(conv1(x))), without normalisation; a third convolution is behind one more ReLU.

    One convolution has its ReLU in front, x + res_scale * conv1(relu(x)), as in He et al., "Identity Mappings in Deep
    Residual Networks" (ECCV 2016): behind it nothing negative could be added, and without one the body were linear.
    """

    def __init__(self, num_feat: int, num_layer: int, res_scale: float) -> None:
        super().__init__()
        self.res_scale = res_scale
        self.num_layer = num_layer
        for layer in range(1, num_layer + 1):
            setattr(self, f"conv{layer}", conv3x3(num_feat, num_feat))

    @property
    def convs(self) -> list[nn.Conv2d]:
        """In order; the last one writes to the stream."""
        return [getattr(self, f"conv{layer}") for layer in range(1, self.num_layer + 1)]

    def forward(self, x: Tensor) -> Tensor:
        """(B, num_feat, H, W) to the same shape."""
        first, *others = self.convs
        residual: Tensor = first(F.relu(x) if not others else x)
        for layer in others:
            residual = layer(F.relu(residual))
        return x + residual if self.res_scale == 1 else x + self.res_scale * residual


class EDSR(KnownNetwork):
    """EDSR for RGB images; the mean shift and the range of 255 are inside."""

    family = "edsr"
    config: EDSRConfig
    mean: Tensor

    def __init__(self, config: EDSRConfig) -> None:
        super().__init__(config)
        feat = config.num_feat
        self.register_buffer("mean", rgb_mean(), persistent=False)
        self.conv_first = conv3x3(3, feat)
        blocks = (ResidualBlock(feat, config.num_layer, config.res_scale) for _ in range(config.num_block))
        self.body = nn.Sequential(*blocks)
        self.conv_after_body = conv3x3(feat, feat)
        self.conv_last: nn.Module = nn.Identity()
        if config.tail == PLAIN:
            self.upsample = stages(feat, feat, shuffle_factors(config.scale))
            self.conv_last = conv3x3(feat, 3)
        else:
            self.upsample = folded_convolution(feat, config.scale)

    @property
    def blocks(self) -> list[ResidualBlock]:
        """The residual blocks, in order."""
        return [block for block in self.body if isinstance(block, ResidualBlock)]

    @override
    def repeated(self) -> list[nn.Module]:
        """The residual blocks."""
        return list(self.blocks)

    @override
    def features(self, lr: Tensor) -> Tensor:
        """The residual stream after the long skip."""
        first = self.conv_first((lr - self.mean) * IMG_RANGE)
        stream: Tensor = self.conv_after_body(self.body(first)) + first
        return stream

    @override
    def upsampled(self, features: Tensor, height: int, width: int) -> Tensor:
        sr: Tensor = self.conv_last(self.upsample(features))
        return sr / IMG_RANGE + self.mean

    @override
    def for_export(self) -> EDSR:
        """Fold `res_scale`, which is in no tensor, into each block's last convolution."""
        tensors = self.state_dict()
        for block in range(self.config.num_block):
            for leaf in ("weight", "bias"):
                key = f"body.{block}.conv{self.config.num_layer}.{leaf}"
                tensors[key] = tensors[key] * self.config.res_scale
        return EDSR.made_of(replace(self.config, res_scale=1.0), tensors)

    @override
    def for_programs(self) -> EDSR:
        plain = self.for_export()
        if plain.config.program_layers() != plain.config.layers():
            fold_tail(plain, plain.config.num_feat, plain.scale)
        return plain
