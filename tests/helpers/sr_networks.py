"""Networks that the package has no line about, under their official key names, as a user's own code has them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int = 3, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups)


class ESA(nn.Module):
    def __init__(self, channels: int, feat: int) -> None:
        super().__init__()
        self.conv1 = conv(feat, channels, 1)
        self.conv_f = conv(channels, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=2)
        self.conv3 = conv(channels, channels)
        self.conv4 = conv(channels, feat, 1)

    def forward(self, x: Tensor) -> Tensor:
        small = self.conv1(x)
        pooled = F.max_pool2d(self.conv2(small), kernel_size=7, stride=3)
        wide = F.interpolate(self.conv3(pooled), x.shape[-2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.conv4(wide + self.conv_f(small)))


class RLFB(nn.Module):
    def __init__(self, feat: int, esa_channels: int) -> None:
        super().__init__()
        self.c1_r, self.c2_r, self.c3_r = conv(feat, feat), conv(feat, feat), conv(feat, feat)
        self.c5 = conv(feat, feat, 1)
        self.esa = ESA(esa_channels, feat)
        self.act = nn.LeakyReLU(0.05, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.act(self.c3_r(self.act(self.c2_r(self.act(self.c1_r(x))))))
        return self.esa(self.c5(out + x))


class RLFN(nn.Module):
    """Kong et al. 2022 (arXiv 2205.07514); its input is in 0 to 255."""

    def __init__(self, feature_channels: int = 52, upscale: int = 4, esa_channels: int = 16, mid: int = 6) -> None:
        super().__init__()
        self.conv_1 = conv(3, feature_channels)
        self.blocks = [f"block_{index}" for index in range(1, mid + 1)]
        for name in self.blocks:
            setattr(self, name, RLFB(feature_channels, esa_channels))
        self.conv_2 = conv(feature_channels, feature_channels)
        self.upsampler = nn.Sequential(conv(feature_channels, 3 * upscale**2), nn.PixelShuffle(upscale))

    def forward(self, x: Tensor) -> Tensor:
        first = out = self.conv_1(x)
        for name in self.blocks:
            out = getattr(self, name)(out)
        return self.upsampler(self.conv_2(out) + first)


class CCALayer(nn.Module):
    def __init__(self, channel: int, reduction: int = 16) -> None:
        super().__init__()
        self.conv_du = nn.Sequential(
            nn.Conv2d(channel, channel // reduction, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channel // reduction, channel, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        deviation = ((x - mean).pow(2).sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3])).pow(0.5)
        return x * self.conv_du(deviation + mean)


class IMDModule(nn.Module):
    def __init__(self, feat: int) -> None:
        super().__init__()
        self.distilled, self.remaining = feat // 4, feat - feat // 4
        self.c1, self.c2, self.c3 = conv(feat, feat), conv(self.remaining, feat), conv(self.remaining, feat)
        self.c4, self.c5 = conv(self.remaining, self.distilled), conv(4 * self.distilled, feat, 1)
        self.act = nn.LeakyReLU(0.05, inplace=True)
        self.cca = CCALayer(4 * self.distilled)

    def forward(self, x: Tensor) -> Tensor:
        sizes, kept, rest = (self.distilled, self.remaining), [], x
        for layer in (self.c1, self.c2, self.c3):
            distilled, rest = torch.split(self.act(layer(rest)), sizes, dim=1)
            kept.append(distilled)
        return self.c5(self.cca(torch.cat([*kept, self.c4(rest)], dim=1))) + x


class IMDN(nn.Module):
    """Hui et al. 2019 (arXiv 1909.11856)."""

    def __init__(self, nf: int = 64, num_modules: int = 6, upscale: int = 4) -> None:
        super().__init__()
        self.fea_conv = conv(3, nf)
        self.modules_named = [f"IMDB{index}" for index in range(1, num_modules + 1)]
        for name in self.modules_named:
            setattr(self, name, IMDModule(nf))
        self.c = nn.Sequential(conv(nf * num_modules, nf, 1), nn.LeakyReLU(0.05, inplace=True))
        self.LR_conv = conv(nf, nf)
        self.upsampler = nn.Sequential(conv(nf, 3 * upscale**2), nn.PixelShuffle(upscale))

    def forward(self, x: Tensor) -> Tensor:
        first = out = self.fea_conv(x)
        outs = []
        for name in self.modules_named:
            out = getattr(self, name)(out)
            outs.append(out)
        return self.upsampler(self.LR_conv(self.c(torch.cat(outs, dim=1))) + first)


class DMlp(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv_0 = nn.Sequential(conv(dim, 2 * dim, 3, groups=dim), conv(2 * dim, 2 * dim, 1))
        self.conv_1 = conv(2 * dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_1(F.gelu(self.conv_0(x)))


class PCFN(nn.Module):
    def __init__(self, dim: int, growth_rate: float, p_rate: float = 0.25) -> None:
        super().__init__()
        hidden = int(dim * growth_rate)
        self.p_dim = int(hidden * p_rate)
        self.conv_0, self.conv_1 = conv(dim, hidden, 1), conv(self.p_dim, self.p_dim)
        self.conv_2 = conv(hidden, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.conv_0(x))
        if self.training:
            first, rest = torch.split(x, [self.p_dim, x.shape[1] - self.p_dim], dim=1)
            return self.conv_2(torch.cat([F.gelu(self.conv_1(first)), rest], dim=1))
        x[:, : self.p_dim] = F.gelu(self.conv_1(x[:, : self.p_dim]))
        return self.conv_2(x)


class SMFA(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear_0, self.linear_1, self.linear_2 = conv(dim, 2 * dim, 1), conv(dim, dim, 1), conv(dim, dim, 1)
        self.lde = DMlp(dim)
        self.dw_conv = conv(dim, dim, 3, groups=dim)
        self.alpha, self.belt = (nn.Parameter(value(1, dim, 1, 1)) for value in (torch.ones, torch.zeros))

    def forward(self, f: Tensor) -> Tensor:
        height, width = f.shape[-2:]
        y, x = self.linear_0(f).chunk(2, dim=1)
        pooled = self.dw_conv(F.adaptive_max_pool2d(x, (height // 8, width // 8)))
        variance = torch.var(x, dim=(-2, -1), keepdim=True)
        gate = F.gelu(self.linear_1(pooled * self.alpha + variance * self.belt))
        return self.linear_2(x * F.interpolate(gate, size=(height, width), mode="nearest") + self.lde(y))


class FMB(nn.Module):
    def __init__(self, dim: int, ffn_scale: float) -> None:
        super().__init__()
        self.smfa, self.pcfn = SMFA(dim), PCFN(dim, ffn_scale)

    def forward(self, x: Tensor) -> Tensor:
        x = self.smfa(F.normalize(x)) + x
        return self.pcfn(F.normalize(x)) + x


class SMFANet(nn.Module):
    """Zheng et al. 2024 (ECCV)."""

    def __init__(self, dim: int = 36, n_blocks: int = 8, ffn_scale: float = 2.0, upscaling_factor: int = 4) -> None:
        super().__init__()
        self.to_feat = conv(3, dim)
        self.feats = nn.Sequential(*(FMB(dim, ffn_scale) for _ in range(n_blocks)))
        self.to_img = nn.Sequential(conv(dim, 3 * upscaling_factor**2), nn.PixelShuffle(upscaling_factor))

    def forward(self, x: Tensor) -> Tensor:
        x = self.to_feat(x)
        return self.to_img(self.feats(x) + x)
