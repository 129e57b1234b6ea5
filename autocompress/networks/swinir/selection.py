"""Shrinking a SwinIR by keeping whole channels, heads, units, layers and blocks: what attention adds to `shrink`.

Channels of the stream live or die together in all that reads, writes or norms them; those of queries and keys live
or die in pairs; those of values with the columns of the projection that read them. A layer that stays may change
between shifted and plain windows, which alternate.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from autocompress.networks.swinir.network import SwinIR, SwinIRConfig
from autocompress.shrink.importance import largest
from autocompress.shrink.selection import Selection

LAYER = "layers.*.residual_group.blocks.*"
# heads are chosen by `_attention`, so what is inside an attention has no axis here
AXES = {
    "conv_first": ("stream", ""),
    "patch_embed.norm": ("stream",),
    f"{LAYER}.norm1": ("stream",),
    f"{LAYER}.attn.qkv": ("", "stream"),
    f"{LAYER}.attn.proj": ("stream", ""),
    f"{LAYER}.norm2": ("stream",),
    f"{LAYER}.mlp.fc1": ("units.*.*", "stream"),
    f"{LAYER}.mlp.fc2": ("stream", "units.*.*"),
    "layers.*.conv": ("stream", "stream"),
    "norm": ("stream",),
    "conv_after_body": ("stream", "stream"),
    "conv_before_upsample.0": ("", "stream"),
}


@torch.no_grad()
def selected(selection: Selection, config: SwinIRConfig) -> SwinIR:
    """The student of this configuration, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # for what a head gets beyond the teacher's
        student = SwinIR(config).eval()
    fresh = dict(student.state_dict())
    new = selection.student(fresh)
    for ours, theirs in selection.sources(fresh).items():
        if f"{ours}attn.qkv.weight" in new:
            _attention(selection, f"{theirs}attn.", f"{ours}attn.", new, fresh)
    student.load_state_dict(new)
    return student


def _attention(
    selection: Selection, theirs: str, ours: str, new: dict[str, Tensor], fresh: Mapping[str, Tensor]
) -> None:
    """Fill in one attention: the most important heads, and of each the most important channels.

    Where the student's heads are wider than the teacher's, the rest of keys and values stays as in `fresh`, which is
    random, and that of queries and of the projection is 0, so that it changes nothing yet but can learn.
    """
    scores, table = selection.scores, new[f"{ours}relative_position_bias_table"]
    heads, old_heads = fresh[f"{ours}relative_position_bias_table"].shape[1], table.shape[1]
    stream, channels = fresh[f"{ours}proj.bias"].shape[0], scores[f"{theirs}proj.bias"].shape[0]
    width, old_width = stream // heads, channels // old_heads
    shared = min(width, old_width)
    score = _rows(scores, theirs).sum(-1).view(3, old_heads, old_width)
    pairs, values = score[0] + score[1], score[2] + scores[f"{theirs}proj.weight"].sum(0).view(score[2].shape)
    columns = scores[f"{theirs}relative_position_bias_table"].sum(0)
    kept = largest((pairs + values).sum(1) + columns, heads)
    pair, value = largest(pairs[kept], shared), largest(values[kept], shared)

    old = _rows(new, ours).view(3, old_heads, old_width, -1)
    rows = _rows(fresh, ours).view(3, heads, width, -1)
    rows[0] = 0
    for part, chosen in enumerate((pair, pair, value)):
        rows[part, :, :shared] = old[part, kept[:, None], chosen]
    rows[0] *= (width / old_width) ** 0.5  # scores are divided by the root of a head's width
    new[f"{ours}qkv.weight"], new[f"{ours}qkv.bias"] = rows[..., :-1].flatten(0, 2), rows[..., -1].flatten()
    read = torch.zeros(stream, heads, width)
    read[:, :, :shared] = new[f"{ours}proj.weight"].view(-1, old_heads, old_width)[:, kept[:, None], value]
    new[f"{ours}proj.weight"] = read.flatten(1)
    new[f"{ours}relative_position_bias_table"] = table[:, kept]


def _rows(tensors: Mapping[str, Tensor], attention: str) -> Tensor:
    """(3C, inputs + 1): what makes queries, keys and values, the bias last."""
    weight, bias = tensors[f"{attention}qkv.weight"], tensors[f"{attention}qkv.bias"]
    return torch.cat([weight, bias[:, None]], 1)
