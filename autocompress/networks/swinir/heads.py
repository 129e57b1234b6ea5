"""Fewer and narrower attention heads: which of a teacher's heads stay, and which directions of each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autocompress.shrink.subspaces import covariance, subspace


@dataclass(frozen=True)
class Heads:
    """How a student's attention of n channels stands for a teacher's of C channels.

    A student's queries, keys and values are `encoder` (3n, 3C) times the teacher's, and what the teacher's projection
    reads is `decoder` (C, n) times what the student's reads. `kept` are the teacher's heads that stay. Where the
    student's heads are wider than the teacher's, only the first `shared` channels of each stand for anything.
    """

    encoder: Tensor
    decoder: Tensor
    kept: Tensor
    shared: int


def choose_heads(qkv: Tensor, mixed: Tensor, written: Tensor, num_heads: tuple[int, int], dim: int) -> Heads:
    """Which heads and directions matter most to a student of `dim` channels.

    `qkv` (N, 3C) are the teacher's queries, keys and values at some pixels, `mixed` (C, C) the covariance of what its
    projection reads, `written` (n, C) what that writes to the student's stream; `num_heads` are the teacher's and the
    student's. Heads stay that write most. Of values, those directions stay that write most; of queries and keys, those
    that make up most of the scores, where a constant added to all keys does not count, since softmax takes it away.
    """
    old_heads, heads = num_heads
    channels = len(mixed)
    old_width, width = channels // old_heads, dim // heads
    shared = min(old_width, width)
    energy = torch.einsum("nc,cd,nd->c", written.double(), mixed, written.double()).view(old_heads, old_width).sum(1)
    kept = energy.topk(heads).indices.sort().values
    queries, keys, _ = qkv.view(len(qkv), 3, old_heads, old_width).unbind(1)
    encoder = qkv.new_zeros(3, heads, width, old_heads, old_width)
    decoder = qkv.new_zeros(old_heads, old_width, heads, width)
    for head, old in enumerate(kept.tolist()):
        query = (queries[:, old].T @ queries[:, old]).double() / len(qkv)
        pair = subspace(covariance(keys[:, old]), query, shared, 1)
        # the softmax divides scores by the root of a head's width
        encoder[0, head, :shared, old] = pair.decoder.T * (width / old_width) ** 0.5
        encoder[1, head, :shared, old] = pair.encoder
        span = slice(old * old_width, (old + 1) * old_width)
        value = subspace(mixed[span, span], written[:, span].T @ written[:, span], shared, 1)
        encoder[2, head, :shared, old] = value.encoder
        decoder[old, :, head, :shared] = value.decoder
    parts = qkv.new_zeros(3, dim, 3, channels)  # queries, keys and values do not mix
    for part in range(3):
        parts[part, :, part] = encoder[part].reshape(dim, channels)
    return Heads(parts.view(3 * dim, 3 * channels), decoder.reshape(channels, dim), kept, shared)
