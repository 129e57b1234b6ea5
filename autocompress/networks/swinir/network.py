"""SwinIR: the network and its configuration.

Liang et al., "SwinIR: Image Restoration Using Swin Transformer" (ICCVW 2021), under the key names and with the
precision of the official `network_swinir.py` at img_range 1. SwinIR-S ("lightweight") is the default configuration.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from autocompress.compute.convolution import conv3x3
from autocompress.errors import ConfigError
from autocompress.networks.base import check_whole
from autocompress.networks.known_network import KnownConfig, KnownNetwork, rgb_mean
from autocompress.networks.layers import Layer, conv, norm
from autocompress.networks.layers import linear as linear_layer
from autocompress.networks.swinir import windows
from autocompress.networks.swinir.windows import WindowAttention, linear
from autocompress.networks.tails import check_scale, fold_tail, folded_tail, plain_tail, shuffle_factors, stages

OFFICIAL_WINDOWS = {"pixelshuffledirect": 8, "pixelshuffle": 6}  # a side of the training patches: img_size 64 and 48
LARGEST_WINDOW = 64  # pixels a side (published networks: up to 16): attention takes memory as its fourth power
NUM_FEAT = 64  # channels after `conv_before_upsample`; no setting in the official code either
# LR pixels around a tile. Every shifted layer and convolution lets a pixel see further (SwinIR-S: 100 pixels), but
# what comes from beyond the next few windows is small. Tiles of 64 pixels of a photograph by the shipped SwinIR-S agree
# with the whole image, in 8 bits, to 70 dB with a margin of 8, 83 dB with 16 and 95 dB with 32 (one value in 100,000
# then differs, by 1): more changes nothing.
MARGIN = 32
_DERIVED = (".relative_position_index", ".attn_mask")  # buffers of official files, which follow from the sizes


@dataclass(frozen=True)
class SwinIRConfig(KnownConfig):
    """`depths[i]` transformer layers of `num_heads[i]` heads in residual block i, on `embed_dim` channels."""

    embed_dim: int = 60
    depths: tuple[int, ...] = (6, 6, 6, 6)
    num_heads: tuple[int, ...] = (6, 6, 6, 6)
    window_size: int = 8
    mlp_ratio: float = 2.0
    upsampler: str = "pixelshuffledirect"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.scale, "SwinIR")
        if self.upsampler not in OFFICIAL_WINDOWS:
            raise ConfigError(f"upsampler is {self.upsampler!r}, but must be one of {', '.join(OFFICIAL_WINDOWS)}")
        check_whole("embed_dim", self.embed_dim, 1)
        check_whole("window_size", self.window_size, 2, LARGEST_WINDOW)
        for name in ("depths", "num_heads"):
            counts = getattr(self, name)
            if not isinstance(counts, tuple) or not counts:
                raise ConfigError(f"{name} is {counts!r}, but must be one whole number for each residual block")
            for count in counts:
                check_whole(name, count, 1)
        if len(self.depths) != len(self.num_heads):
            both = f"depths is {self.depths} and num_heads {self.num_heads}"
            raise ConfigError(f"{both}, but both must have one number for each block")
        for heads in self.num_heads:
            if self.embed_dim % heads:
                rule = f"must be a multiple of num_heads, which is {heads}"
                raise ConfigError(f"embed_dim is {self.embed_dim}, but {rule}")
        ratio = self.mlp_ratio
        number = isinstance(ratio, int | float) and math.isfinite(ratio)
        if not number or int(self.embed_dim * ratio) < 1:
            raise ConfigError(
                f"mlp_ratio is {ratio!r}, but must be a number that leaves an MLP of {self.embed_dim} channels one unit"
            )

    @property
    def hidden_dim(self) -> int:
        """Units inside each MLP."""
        return int(self.embed_dim * self.mlp_ratio)

    @property
    def direct(self) -> bool:
        """Whether the body's features become sub-pixels of RGB at once."""
        return self.upsampler == "pixelshuffledirect"

    @override
    def layers(self) -> list[Layer]:
        return self._layers([] if self.direct else plain_tail(NUM_FEAT, self.scale))

    @override
    def program_layers(self) -> list[Layer]:
        """With a tail of one convolution, where one follows an activation."""
        return self._layers([] if self.direct else [folded_tail(NUM_FEAT, self.scale)])

    def _layers(self, tail: list[Layer]) -> list[Layer]:
        dim = self.embed_dim
        body = [conv(dim, dim)] * (len(self.depths) + 1) + [norm(dim)] * 2
        for depth, heads in zip(self.depths, self.num_heads, strict=True):
            body += self._transformer_layer(heads) * depth
        return [conv(3, dim), *body, conv(dim, 3 * self.scale**2 if self.direct else NUM_FEAT), *tail]

    def _transformer_layer(self, heads: int) -> list[Layer]:
        """Scores, and what they weigh, take the pixels of a window each; the parameters of attention are its table."""
        dim, hidden, side = self.embed_dim, self.hidden_dim, self.window_size
        attention = Layer(2 * side**2 * dim, (2 * side - 1) ** 2 * heads)
        maps = (dim, 3 * dim), (dim, dim), (dim, hidden), (hidden, dim)
        return [norm(dim), norm(dim), attention, *(linear_layer(*each) for each in maps)]

    @override
    def official_code(self) -> tuple[str, str] | None:
        """Of models/network_swinir.py in github.com/JingyunLiang/SwinIR."""
        fields = {"upscale": self.scale, "img_size": OFFICIAL_WINDOWS[self.upsampler] * self.window_size}
        others = ("window_size", "depths", "embed_dim", "num_heads", "mlp_ratio", "upsampler")
        fields |= {"img_range": 1.0} | {name: value for name, value in self.to_dict().items() if name in others}
        lines = "".join(f"    {name}={value!r},\n" for name, value in fields.items())
        importing = "from models.network_swinir import SwinIR  # of github.com/JingyunLiang/SwinIR"
        return importing, f"network = SwinIR(\n{lines})"


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = linear(dim, hidden)
        self.fc2 = linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to the same shape."""
        result: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return result


class TransformerLayer(nn.Module):
    """x + attention(norm1(x)), then x + mlp(norm2(x)); every second one has its windows shifted by half a window."""

    def __init__(self, config: SwinIRConfig, num_heads: int, shifted: bool) -> None:
        super().__init__()
        dim = config.embed_dim
        self.shift = config.window_size // 2 if shifted else 0
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, config.window_size, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, config.hidden_dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape; `mask` (windows, 1, N, N) is for shifted windows."""
        if self.shift:
            rolled = torch.roll(self.norm1(x), (-self.shift, -self.shift), (1, 2))
            x = x + torch.roll(self.attn(rolled, mask), (self.shift, self.shift), (1, 2))
        else:
            x = x + self.attn(self.norm1(x), None)
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class LayerGroup(nn.Module):
    """The transformer layers of a residual block, which the official code calls blocks too."""

    def __init__(self, config: SwinIRConfig, depth: int, num_heads: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(TransformerLayer(config, num_heads, shifted=i % 2 == 1) for i in range(depth))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape; `mask` (windows, 1, N, N) is for shifted windows."""
        for layer in self.blocks:
            x = layer(x, mask)
        return x


class ResidualBlock(nn.Module):
    """x + conv(transformer layers(x)): an RSTB with one convolution."""

    def __init__(self, config: SwinIRConfig, depth: int, num_heads: int) -> None:
        super().__init__()
        self.residual_group = LayerGroup(config, depth, num_heads)
        self.conv = conv3x3(config.embed_dim, config.embed_dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape; `mask` (windows, 1, N, N) is for shifted windows."""
        layers: Tensor = self.residual_group(x, mask)
        residual: Tensor = self.conv(layers.permute(0, 3, 1, 2))
        return x + residual.permute(0, 2, 3, 1)


class SwinIR(KnownNetwork):
    """SwinIR for RGB images; the mean shift, and padding by reflection to whole windows, are inside."""

    family = "swinir"
    config: SwinIRConfig
    mean: Tensor
    edges: Tensor
    conv_last: nn.Module

    def __init__(self, config: SwinIRConfig) -> None:
        super().__init__(config)
        dim = config.embed_dim
        self.register_buffer("mean", rgb_mean(), persistent=False)
        self.register_buffer("edges", windows.edge_masks(config.window_size), persistent=False)
        self.conv_first = conv3x3(3, dim)
        self.patch_embed = nn.Sequential(OrderedDict(norm=nn.LayerNorm(dim)))
        counts = zip(config.depths, config.num_heads, strict=True)
        self.layers = nn.ModuleList(ResidualBlock(config, depth, heads) for depth, heads in counts)
        self.norm = nn.LayerNorm(dim)
        self.conv_after_body = conv3x3(dim, dim)
        if config.direct:
            self.upsample = stages(dim, 3, (config.scale,))
        else:
            self.conv_before_upsample = nn.Sequential(conv3x3(dim, NUM_FEAT), nn.LeakyReLU())
            self.upsample = stages(NUM_FEAT, NUM_FEAT, shuffle_factors(config.scale))
            self.conv_last = conv3x3(NUM_FEAT, 3)

    @override
    def repeated(self) -> list[nn.Module]:
        """The transformer layers."""
        return [module for module in self.modules() if isinstance(module, TransformerLayer)]

    @property
    @override
    def size_multiple(self) -> int:
        """Whole windows."""
        return self.config.window_size

    @property
    @override
    def margin(self) -> int:
        """Whole windows."""
        window = self.config.window_size
        return -(-MARGIN // window) * window

    @override
    def features(self, lr: Tensor) -> Tensor:
        """What comes after the long skip, padded to whole windows."""
        first: Tensor = self.conv_first(windows.padded(lr, self.config.window_size) - self.mean)
        deep: Tensor = self.conv_after_body(self.body(first.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return deep + first

    @override
    def upsampled(self, features: Tensor, height: int, width: int) -> Tensor:
        direct = self.config.direct
        sr = self.upsample(features) if direct else self.conv_last(self.upsample(self.conv_before_upsample(features)))
        result: Tensor = (sr + self.mean)[..., : height * self.scale, : width * self.scale]
        return result

    def body(self, x: Tensor) -> Tensor:
        """The residual blocks between two norms: (B, H, W, C) to the same shape, in whole windows."""
        side = self.config.window_size
        mask = windows.shift_mask(self.edges, x.shape[1] // side, x.shape[2] // side)[:, None]
        # In float32, as the weights are, also where autocast makes the convolution's output bf16: so the stream stays
        # exact, and a norm that has to mix formats takes four times as long on a CPU.
        x = self.patch_embed(x.to(self.norm.weight.dtype))
        for block in self.layers:
            x = block(x, mask)
        result: Tensor = self.norm(x)
        return result

    @override
    def for_programs(self) -> SwinIR:
        """Where the upsampling is not direct, with one convolution behind the last activation."""
        plain = self.for_export()
        if not plain.config.direct:
            fold_tail(plain, NUM_FEAT, plain.scale)
        return plain

    @override
    def official_tensors(self) -> dict[str, Tensor]:
        """With the buffers that the official code stores: positions, and masks for the size of its training patches."""
        config, tensors = self.config, super().official_tensors()
        edges = windows.edge_masks(config.window_size, windows.OFFICIAL_SEPARATED)
        side = OFFICIAL_WINDOWS[config.upsampler]
        for name, layer in self.named_modules():
            if isinstance(layer, TransformerLayer):
                tensors[f"{name}.attn.relative_position_index"] = windows.position_index(config.window_size)
                if layer.shift:
                    tensors[f"{name}.attn_mask"] = windows.shift_mask(edges, side, side)
        return tensors

    @override
    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """The buffers of official files are left out."""
        return super().load_state_dict(without_buffers(state_dict), strict, assign)


def without_buffers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that are weights."""
    return {key: value for key, value in tensors.items() if not key.endswith(_DERIVED)}
