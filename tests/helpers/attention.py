"""Networks with attention, as a user's own code has them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.sr_networks import conv


class ChannelAttention(nn.Module):
    """Attention whose heads have 4 channels each, over channels in place of pixels (Zamir et al. 2022)."""

    def __init__(self, heads: int = 2, each: int = 4, by_einsum: bool = False) -> None:
        super().__init__()
        self.heads, self.by_einsum = heads, by_einsum
        self.first, self.qkv = conv(3, 12), conv(12, 3 * heads * each, 1)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.out, self.last = conv(heads * each, 12, 1), conv(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        batch, _, height, width = y.shape
        parts = (part.reshape(batch, self.heads, -1, height * width) for part in self.qkv(y).chunk(3, dim=1))
        q, k, v = parts
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        if self.by_einsum:
            shares = (torch.einsum("b h c n, b h d n -> b h c d", q, k) * self.temperature).softmax(-1)
            mixed = torch.einsum("b h c d, b h d n -> b h c n", shares, v)
        else:
            shares = ((q @ k.transpose(-2, -1)) * self.temperature).softmax(-1)
            mixed = F.dropout(shares, 0.1, self.training) @ v
        y = y + self.out(mixed.reshape(batch, -1, height, width))
        return F.pixel_shuffle(self.last(y), 2)


class WindowAttention(nn.Module):
    """Attention in windows of 4 pixels a side, as SwinIR has it: a bias by position and a mask of shifted windows.

    `dim` channels are shared out among `heads`; `each`, if given, are the channels of a head.
    """

    index: Tensor
    mask: Tensor

    def __init__(self, dim: int = 12, heads: int = 3, each: int | None = None) -> None:
        super().__init__()
        self.heads, self.each, inner = heads, each or dim // heads, heads * each if each else dim
        self.first, self.norm = conv(3, dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * inner), nn.Linear(inner, dim)
        self.table = nn.Parameter(torch.randn(49, heads))
        places = torch.cartesian_prod(torch.arange(4), torch.arange(4))
        apart = places[:, None] - places[None] + 3
        self.register_buffer("index", apart[..., 0] * 7 + apart[..., 1], persistent=False)
        self.register_buffer("mask", -1000.0 * (places[:, None] // 2 != places[None] // 2).any(-1), persistent=False)
        self.last = conv(dim, 12)

    def forward(self, x: Tensor) -> Tensor:
        whole = [2 * size for size in x.shape[-2:]]
        right, below = (-size % 4 for size in (x.shape[-1], x.shape[-2]))
        y = self.first(F.pad(x, (0, right, 0, below)) if right or below else x)
        batch, dim, height, width = y.shape
        windows = y.view(batch, dim, height // 4, 4, width // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, dim)
        parts = self.qkv(self.norm(windows)).view(-1, 16, 3, self.heads, self.each).permute(2, 0, 3, 1, 4)
        bias = self.table[self.index.view(-1)].view(16, 16, -1).permute(2, 0, 1)
        scores = (parts[0] * self.each**-0.5) @ parts[1].transpose(-2, -1) + bias[None] + self.mask
        mixed = (scores.softmax(-1) @ parts[2]).transpose(1, 2).reshape(windows.shape[0], 16, -1)
        windows = (windows + self.proj(mixed)).view(batch, height // 4, width // 4, 4, 4, dim)
        y = y + windows.permute(0, 5, 1, 3, 2, 4).reshape(batch, dim, height, width)
        sr = F.pixel_shuffle(self.last(y), 2)
        return sr[..., : whole[0], : whole[1]] if right or below else sr


class TokenAttention(nn.Module):
    """Attention to learned tokens, and a layer on pixels in the order of the tokens that they are like.

    As in ATD (Zhang et al. 2024). Without `together` each channel has an order of its own.
    """

    def __init__(self, width: int = 8, together: bool = True) -> None:
        super().__init__()
        self.first, self.last, self.together = conv(3, width), conv(width, 12), together
        self.tokens = nn.Parameter(torch.randn(5, width))
        self.key, self.out = nn.Linear(width, 4), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        rows = y.flatten(2).transpose(1, 2)
        shares = (self.key(rows) @ self.key(self.tokens).T).softmax(-1)
        rows = rows + shares @ self.tokens
        if self.together:
            places = shares.argmax(-1).argsort(dim=-1, stable=True)
            order, back = (each[..., None].expand_as(rows) for each in (places, places.argsort(dim=-1, stable=True)))
        else:
            order = rows.argsort(1)
            back = order.argsort(1)
        ordered = rows.gather(1, order)
        rows = rows + self.out(ordered + ordered.roll(1, 1)).gather(1, back)
        return F.pixel_shuffle(self.last(rows.transpose(1, 2).reshape(y.shape)), 2)
