"""Small published networks in their plain form for inference, under their official key names, as in own code."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class SoftPool(nn.Module):
    """The mean over windows of 7x7, each value weighted by its exponential."""

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.exp(x)
        return F.avg_pool2d(weights * x, 7, stride=3) / F.avg_pool2d(weights, 7, stride=3)


class LocalAttention(nn.Module):
    """Gates by a coarse map of importance and by the first channel."""

    def __init__(self, feat: int, attention: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(feat, attention, 1),
            SoftPool(),
            nn.Conv2d(attention, attention, 3, stride=2, padding=1),
            conv(attention, feat),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        coarse = F.interpolate(self.body(x), x.shape[-2:], mode="bilinear", align_corners=False)
        return x * coarse * torch.sigmoid(x[:, :1])


class PlainAttention(nn.Module):
    """The cheap form of `LocalAttention`: one convolution at full resolution."""

    def __init__(self, feat: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(feat, feat), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.body(x) * torch.sigmoid(x[:, :1])


class PlainBlock(nn.Module):
    """Two convolutions and an attention on the first channels; the others pass by."""

    def __init__(self, feat: int, attention: nn.Module | None = None) -> None:
        super().__init__()
        self.feat = feat
        layers = [conv(feat, feat), nn.LeakyReLU(0.05, inplace=True), conv(feat, feat)]
        self.body = nn.Sequential(*layers, *([] if attention is None else [attention]))

    def forward(self, x: Tensor) -> Tensor:
        first, rest = torch.split(x, [self.feat, x.shape[1] - self.feat], dim=1)
        return torch.cat([self.body(first), rest], dim=1)


class PlainUSR(nn.Module):
    """PlainUSR-M, Wang et al. 2024 (ACCV): blocks on all, some and few of the channels."""

    def __init__(self, feat: int = 48, mid: int = 32, few: int = 16, attention: int = 8, scale: int = 2) -> None:
        super().__init__()
        self.head = conv(3, feat + 3)
        sizes = {"block1": feat, "block2": mid, "blockm": few, "block3": mid, "block4": feat}
        self.blocks = list(sizes)
        for name, size in sizes.items():
            setattr(self, name, PlainBlock(size, LocalAttention(size, attention)))
        self.tail = nn.Sequential(conv(feat + 3, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        for name in self.blocks:
            x = getattr(self, name)(x)
        return self.tail(x)


class PlainUSRTiny(nn.Module):
    """PlainUSR-T, of the same paper: three blocks, one of them with an attention."""

    def __init__(self, feat: int = 32, few: int = 16, scale: int = 2) -> None:
        super().__init__()
        self.head = conv(3, feat + 3)
        self.block1, self.block2 = PlainBlock(feat), PlainBlock(feat)
        self.blockm = PlainBlock(few, PlainAttention(few))
        self.tail = nn.Sequential(conv(feat + 3, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.block2(self.blockm(self.block1(self.head(x)))))


class ECBSR(nn.Module):
    """Zhang et al. 2021 (ACM MM), re-parametrised: convolutions with PReLU, plus the pixels repeated."""

    def __init__(self, feat: int = 40, layers: int = 6, scale: int = 2) -> None:
        super().__init__()
        sizes = [3] + [feat] * (layers + 1)
        inner = [nn.Sequential(conv(a, b), nn.PReLU(b)) for a, b in itertools.pairwise(sizes)]
        self.backbone = nn.Sequential(*inner, nn.Sequential(conv(feat, 3 * scale**2)))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.backbone(x) + x.repeat_interleave(self.scale**2, dim=1), self.scale)


class ETDS(nn.Module):
    """Chao et al. 2023 (CVPR), transformed: convolutions with ReLU, colours in channels of their own."""

    def __init__(self, feat: int = 32, layers: int = 6, scale: int = 2) -> None:
        super().__init__()
        self.conv_first = conv(3, feat)
        self.backbone_convs = nn.ModuleList(conv(feat, feat) for _ in range(layers))
        self.conv_last = conv(feat, 3 * scale**2)
        self.conv_clip = conv(3 * scale**2, 3 * scale**2, 1)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv_first(x))
        for layer in self.backbone_convs:
            x = F.relu(layer(x))
        return F.pixel_shuffle(F.relu(self.conv_clip(F.relu(self.conv_last(x)))), self.scale)
