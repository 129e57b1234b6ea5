"""PlainUSR, known without code of a user's: its network, under the names of its authors' files, and its family.

Wang et al., "PlainUSR: Chasing Faster ConvNet for Efficient Super-Resolution", ACCV 2024 (arXiv 2409.13435), in the
plain form that they publish (PlainUSR-S, -M and the one without a letter; -U, -T and -L have other blocks). What varies
in it and how students are made is found as for any network of a user's code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from autocompress.networks.base import Config, Weights, narrowed
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.code import Builder
from autocompress.networks.custom.network import CustomConfig

WINDOW, STRIDE = 7, 3  # of the pooling in the attention
SLOPE = 0.05
LARGEST = 75.0  # its exponential and that of -75, times a window of values, are far from the ends of float32


class _SoftPool(nn.Module):
    """The mean over windows in which large values weigh more, by their exponential; at least a window of pixels.

    Values beyond LARGEST, on either side, which noise makes and photographs hardly, weigh alike: the authors' code
    makes NaN of those beyond 88.
    """

    @override
    def forward(self, x: Tensor) -> Tensor:
        weight = x.clamp(-LARGEST, LARGEST).exp()
        return F.avg_pool2d(x * weight, WINDOW, STRIDE) / F.avg_pool2d(weight, WINDOW, STRIDE)


class _Attention(nn.Module):
    """Multiplies by a coarse map of what matters, and by a gate that is the first channel."""

    def __init__(self, channels: int, attention: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, attention, 1),
            _SoftPool(),
            nn.Conv2d(attention, attention, 3, stride=2, padding=1),
            nn.Conv2d(attention, channels, 3, padding=1),
            nn.Sigmoid(),
        )

    @override
    def forward(self, x: Tensor) -> Tensor:
        importance = F.interpolate(self.body(x), size=x.shape[-2:], mode="bilinear", align_corners=False)
        return x * importance * x[:, :1].sigmoid()


class _Block(nn.Module):
    """Two convolutions and an attention on the first `channels`; the others pass by."""

    def __init__(self, channels: int, attention: int) -> None:
        super().__init__()
        self._channels = channels
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1),
            _Attention(channels, attention),
        )

    @override
    def forward(self, x: Tensor) -> Tensor:
        first, others = torch.split(x, [self._channels, x.shape[1] - self._channels], dim=1)
        return torch.cat([self.body(first), others], dim=1)


class PlainUSR(nn.Module):
    """From (B, 3, H, W) in [0, 1] to (B, 3, scale*H, scale*W): blocks on `feat` channels, `mid`, `few`, and back.

    Three channels more have the colours to begin with. Raises ValueError unless `feat` > `mid` > `few`.
    """

    def __init__(self, feat: int = 48, mid: int = 32, few: int = 16, attention: int = 8, scale: int = 2) -> None:
        super().__init__()
        if not feat > mid > few:
            raise ValueError(f"blocks of {feat}, {mid} and {few} channels do not get narrower")
        self.head = nn.Conv2d(3, feat + 3, 3, padding=1)
        self.block1 = _Block(feat, attention)
        self.block2 = _Block(mid, attention)
        self.blockm = _Block(few, attention)
        self.block3 = _Block(mid, attention)
        self.block4 = _Block(feat, attention)
        self.tail = nn.Sequential(nn.Conv2d(feat + 3, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    @override
    def forward(self, lr: Tensor) -> Tensor:
        x = self.block2(self.block1(self.head(lr)))
        sr: Tensor = self.tail(self.block4(self.block3(self.blockm(x))))
        return sr


@dataclass(frozen=True)
class _OwnClass(Builder):
    """`PlainUSR` of this module."""

    name: str = "plainusr"
    digest: str = ""
    # without memory PyTorch computes the shapes of its interpolations in Python, 8 times as slowly as their values
    tried_without_memory: ClassVar[bool] = False

    @property
    @override
    def importing(self) -> str:
        return f"from {__name__} import {PlainUSR.__name__}"

    @override
    def callable(self) -> Callable[..., nn.Module]:
        return PlainUSR


class PlainUSRFamily(CustomFamily):
    """The networks of these arguments of `PlainUSR`, and smaller ones."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__(_OwnClass(), arguments)

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return PlainUSRFamily, (self.arguments,)

    @override
    def of_teacher(self, arguments: Mapping[str, Any]) -> CustomFamily:
        return PlainUSRFamily(arguments)

    @override
    def official_code(self, config: Config) -> tuple[str, str] | None:
        sizes = {**self.arguments, **narrowed(CustomConfig, config).values}
        blocks = [sizes[name] for name in ("feat", "mid", "few")]
        fields = f"n_feat={blocks[0]}, im_feat={blocks}, attn_feat={sizes['attention']}, scale={sizes['scale']}"
        name = "PlainUSR_general_inference"
        return f"from archs.PlainUSR_inference_arch import {name}", f"network = {name}({fields})"

    @classmethod
    def of(cls, tensors: Weights) -> PlainUSRFamily | None:
        """That of the network with these tensors, by their shapes; None where they are no PlainUSR's."""
        names = [f"block{index}.body.3.body.0.weight" for index in (1, 2, "m", 3, 4)] + ["tail.0.weight"]
        if not all(name in tensors and tensors[name].dim() == 4 for name in names):
            return None
        (attention, feat), (_, mid), (_, few) = (tensors[name].shape[:2] for name in names[:3])
        scale = math.isqrt(tensors[names[-1]].shape[0] // 3)
        return cls({"feat": feat, "mid": mid, "few": few, "attention": attention, "scale": scale})
