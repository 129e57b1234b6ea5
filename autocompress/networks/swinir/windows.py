"""Attention in windows: how SwinIR splits an image, shifts the split, and keeps apart what the shift joins."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Added to the score of two pixels of a window that only the cyclic shift brought together. The official -100 leaves
# weights of exp(-100), which are denormal numbers: on a CPU they make attention in shifted windows up to 1.6 times as
# slow (benchmarks/attention.py), and what they add is below rounding. This leaves 0.
SEPARATED = -1000.0
OFFICIAL_SEPARATED = -100.0


def position_index(window: int) -> Tensor:
    """(N, N) for N = window^2 pixels: the row of the bias table that belongs to two pixels' relative position."""
    side = torch.arange(window)
    offset = side[:, None] - side + window - 1  # (window, window): along one side
    rows, columns = offset[:, None, :, None] * (2 * window - 1), offset[None, :, None, :]
    return (rows + columns).reshape(window**2, window**2)


def edge_masks(window: int, separated: float = SEPARATED) -> Tensor:
    """What is added to the scores in shifted windows: (2, 2, N, N), by whether a window is in the last row, column.

    After the cyclic shift by window // 2 a last window holds the rest of one side and the start of the other.
    """
    wrapped = torch.arange(window) >= window - window // 2
    labels = torch.stack([torch.zeros_like(wrapped), wrapped])
    apart = labels[:, :, None] != labels[:, None, :]  # (2, window, window): along one side
    either = apart[:, None, :, None, :, None] | apart[None, :, None, :, None, :]
    return torch.where(either, separated, 0.0).reshape(2, 2, window**2, window**2)


def shift_mask(edges: Tensor, rows: int, columns: int) -> Tensor:
    """(rows * columns, N, N): the mask of each window of a shifted image, from `edge_masks`."""
    device = edges.device
    last_row = (torch.arange(rows, device=device) == rows - 1).long()
    last_column = (torch.arange(columns, device=device) == columns - 1).long()
    return edges[last_row][:, last_column].flatten(0, 1)


class WindowAttention(nn.Module):
    """Multi-head attention among the pixels of each window, with a learned bias for each relative position."""

    relative_position_index: Tensor

    def __init__(self, dim: int, window: int, num_heads: int) -> None:
        super().__init__()
        self.window, self.num_heads = window, num_heads
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.qkv = linear(dim, 3 * dim)
        self.proj = linear(dim, dim)
        self.register_buffer("relative_position_index", position_index(window), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, H, W, C) to the same shape; `mask` is (windows, 1, N, N)."""
        batch, height, width, dim = x.shape
        side, heads = self.window, self.num_heads
        rows, columns = height // side, width // side
        # Windows are taken apart before heads, and put together after them: whole pixels are cheap to move, a head's
        # few channels are not.
        apart = x.view(batch, rows, side, columns, side, dim).transpose(2, 3).reshape(batch, -1, side * side, dim)
        parts = self.qkv(apart).view(batch, -1, side * side, 3, heads, dim // heads)
        q, k, v = parts.permute(3, 0, 1, 4, 2, 5).contiguous()
        bias = self.bias() if mask is None else self.bias() + mask
        out = attend(q, k, v, bias.to(q.dtype)).view(batch, -1, heads, side * side, dim // heads).transpose(2, 3)
        mixed = out.reshape(batch, rows, columns, side, side, dim).transpose(2, 3).reshape(batch, height, width, dim)
        result: Tensor = self.proj(mixed)
        return result

    def bias(self) -> Tensor:
        """(1, heads, N, N), from the table."""
        index = self.relative_position_index
        rows = self.relative_position_bias_table.index_select(0, index.flatten())
        return rows.T.contiguous().view(1, self.num_heads, *index.shape)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention of (B, windows, heads, N, d), with a bias (1 or windows, heads, N, N) on the scaled scores.

    The fused kernel is used where it was measured to be faster (benchmarks/attention.py): on a CPU, where nothing needs
    the bias's gradient.
    fvcore, which traces, does not see it.
    """
    tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    if torch.is_grad_enabled() or tracing or q.device.type != "cpu":
        return explicit(q, k, v, bias)
    return fused(q, k, v, bias)


def explicit(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """`attend` operation by operation."""
    scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-2, -1))
    # in place it takes less memory, but what is captured is captured sooner without
    scores = scores + bias if torch.compiler.is_compiling() else scores.add_(bias)
    return torch.matmul(scores.softmax(-1), v)


def fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """`attend` by torch's fused kernel."""
    # The kernel wants four dimensions and broadcasts the bias over the first: windows join the batch, or the heads.
    first = 0 if len(bias) == 1 else 1
    q_, k_, v_ = (part.flatten(first, first + 1) for part in (q, k, v))
    return F.scaled_dot_product_attention(q_, k_, v_, bias.flatten(0, 1)[None])


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer with the official initial weights."""
    layer = nn.Linear(inputs, outputs)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


def padded(lr: Tensor, multiple: int) -> Tensor:
    """Continue images by reflection at the bottom and right, again and again where they are smaller than that takes.

    Reflected again and again, a pixel comes back with the period of a triangle wave; one pixel alone is repeated.
    """
    # what is exported takes any size, so that the size can decide nothing
    if not torch.compiler.is_compiling() and not any(size % multiple for size in lr.shape[-2:]):
        return lr
    for axis in (-2, -1):
        size = lr.shape[axis]
        last = torch.full((1,), size - 1, device=lr.device)
        where = torch.arange((size + multiple - 1) // multiple * multiple, device=lr.device)
        period = (2 * last).clamp(min=1)  # one pixel alone has none
        lr = lr.index_select(axis, last - (last - where % period).abs())
    return lr
