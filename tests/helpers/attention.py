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
