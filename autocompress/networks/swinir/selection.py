"""Shrinking a SwinIR by keeping whole channels, heads, units, layers and blocks: the plain ways, which are controls.

Channels of the stream live or die together in all that reads, writes or norms them; those of queries and keys live
or die in pairs; those of values with the columns of the projection that read them. A layer that stays may change
between shifted and plain windows, which alternate.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autocompress.networks.base import Weights
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig
from autocompress.shrink.importance import largest

# which dimensions of a parameter are the stream's, by how its name ends; all others are of something else
_STREAM = {
    "conv_first.weight": (0,),
    "conv_first.bias": (0,),
    "norm.weight": (0,),
    "norm.bias": (0,),
    "norm1.weight": (0,),
    "norm1.bias": (0,),
    "norm2.weight": (0,),
    "norm2.bias": (0,),
    "attn.qkv.weight": (1,),
    "attn.proj.weight": (0,),
    "attn.proj.bias": (0,),
    "mlp.fc1.weight": (1,),
    "mlp.fc2.weight": (0,),
    "mlp.fc2.bias": (0,),
    "conv.weight": (0, 1),
    "conv.bias": (0,),
    "conv_after_body.weight": (0, 1),
    "conv_after_body.bias": (0,),
    "conv_before_upsample.0.weight": (1,),
}


class Selection:
    """Makes students of `teacher` by keeping its most important parts.

    `scores` are the importance of its weights, by `norm_importance` or `taylor_importance` of all of them. The
    importance of anything larger is the sum over its weights. What stays keeps its order.
    """

    def __init__(self, teacher: SwinIR, scores: Weights) -> None:
        self.teacher = teacher.config
        self.weights: dict[str, Tensor] = {key: value.detach() for key, value in teacher.state_dict().items()}
        self.scores = scores
        self.stream = torch.zeros(teacher.config.embed_dim)
        for name, score in self.scores.items():
            for dimension in self._stream_dimensions(name):
                self.stream += score.transpose(0, dimension).flatten(1).sum(1) if score.dim() > 1 else score

    @torch.no_grad()
    def __call__(self, config: SwinIRConfig) -> SwinIR:
        """The student of this configuration, in eval mode."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # for what a head gets beyond the teacher's
            student = SwinIR(config).eval()
        stream = largest(self.stream, config.embed_dim)
        new = dict(student.state_dict())
        for name in new:
            if not name.startswith("layers."):
                new[name] = self._on_stream(name, stream)
        order = torch.stack([self._total(f"layers.{i}.") for i in range(len(self.teacher.depths))])
        for block, old_block in enumerate(largest(order, len(config.depths)).tolist()):
            theirs, ours = f"layers.{old_block}.", f"layers.{block}."
            for leaf in ("conv.weight", "conv.bias"):
                new[ours + leaf] = self._on_stream(theirs + leaf, stream)
            for layer, old_layer in enumerate(largest(self.layers()[old_block], config.depths[block]).tolist()):
                prefix = "residual_group.blocks."
                self._layer(new, f"{ours}{prefix}{layer}.", f"{theirs}{prefix}{old_layer}.", stream)
        student.load_state_dict(new)
        return student

    def _layer(self, new: dict[str, Tensor], ours: str, theirs: str, stream: Tensor) -> None:
        """Fill in one transformer layer of the student."""
        for leaf in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "attn.proj.bias", "mlp.fc2.bias"):
            new[ours + leaf] = self._on_stream(theirs + leaf, stream)
        units = largest(self._units(theirs), len(new[f"{ours}mlp.fc1.bias"]))
        new[f"{ours}mlp.fc1.weight"] = self._on_stream(f"{theirs}mlp.fc1.weight", stream)[units]
        new[f"{ours}mlp.fc1.bias"] = self.weights[f"{theirs}mlp.fc1.bias"][units]
        new[f"{ours}mlp.fc2.weight"] = self._on_stream(f"{theirs}mlp.fc2.weight", stream)[:, units]
        self._attention(new, f"{ours}attn.", f"{theirs}attn.", stream)

    def layers(self) -> list[Tensor]:
        """The importance of each transformer layer, by residual block."""
        return [
            torch.stack([self._total(f"layers.{block}.residual_group.blocks.{i}.") for i in range(depth)])
            for block, depth in enumerate(self.teacher.depths)
        ]

    def _attention(self, new: dict[str, Tensor], ours: str, theirs: str, stream: Tensor) -> None:
        """Fill in one attention: the most important heads, and of each the most important channels.

        Where the student's heads are wider than the teacher's, the rest of keys and values stays random and that of
        queries and of the projection 0, so that it changes nothing yet but can learn.
        """
        table = self.weights[f"{theirs}relative_position_bias_table"]
        heads, old_heads = new[f"{ours}relative_position_bias_table"].shape[1], table.shape[1]
        width, old_width = len(stream) // heads, self.teacher.embed_dim // old_heads
        shared = min(width, old_width)
        score = self._rows(self.scores, theirs).sum(-1).view(3, old_heads, old_width)
        pairs, values = score[0] + score[1], score[2] + self.scores[f"{theirs}proj.weight"].sum(0).view(score[2].shape)
        columns = self.scores[f"{theirs}relative_position_bias_table"].sum(0)
        kept = largest((pairs + values).sum(1) + columns, heads)
        pair, value = largest(pairs[kept], shared), largest(values[kept], shared)

        old = self._rows(self.weights, theirs)[:, [*stream.tolist(), -1]].view(3, old_heads, old_width, -1)
        rows = self._rows(new, ours).view(3, heads, width, -1)
        rows[0] = 0
        for part, channels in enumerate((pair, pair, value)):
            rows[part, :, :shared] = old[part, kept[:, None], channels]
        rows[0] *= (width / old_width) ** 0.5  # scores are divided by the root of a head's width
        new[f"{ours}qkv.weight"], new[f"{ours}qkv.bias"] = rows[..., :-1].flatten(0, 2), rows[..., -1].flatten()
        read = torch.zeros(len(stream), heads, width)
        old_read = self.weights[f"{theirs}proj.weight"][stream].view(-1, old_heads, old_width)
        read[:, :, :shared] = old_read[:, kept[:, None], value]
        new[f"{ours}proj.weight"] = read.flatten(1)
        new[f"{ours}relative_position_bias_table"] = table[:, kept]

    def _on_stream(self, name: str, stream: Tensor) -> Tensor:
        """A teacher's parameter without the stream's channels that go."""
        weight = self.weights[name]
        for dimension in self._stream_dimensions(name):
            weight = weight.index_select(dimension, stream)
        return weight

    def _stream_dimensions(self, name: str) -> tuple[int, ...]:
        if name == "upsample.0.weight" and self.teacher.direct:
            return (1,)
        return next((axes for end, axes in _STREAM.items() if name == end or name.endswith(f".{end}")), ())

    def _total(self, prefix: str) -> Tensor:
        """Weights of all that stands under a name."""
        return torch.stack([score.sum() for name, score in self.scores.items() if name.startswith(prefix)]).sum()

    def _units(self, layer: str) -> Tensor:
        """Weights of the units inside an MLP: of what writes and what reads them."""
        written = self.scores[f"{layer}mlp.fc1.weight"].sum(1) + self.scores[f"{layer}mlp.fc1.bias"]
        return written + self.scores[f"{layer}mlp.fc2.weight"].sum(0)

    @staticmethod
    def _rows(tensors: Weights, attention: str) -> Tensor:
        """(3C, inputs + 1): what makes queries, keys and values, the bias last."""
        weight, bias = tensors[f"{attention}qkv.weight"], tensors[f"{attention}qkv.bias"]
        return torch.cat([weight, bias[:, None]], 1)
