"""A network with attention over channels, as a user's own code has it."""

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
