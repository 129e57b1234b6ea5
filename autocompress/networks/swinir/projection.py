"""Shrinking a SwinIR by projecting its stream on a subspace and refitting its layers by least squares.

SwinIR's stream is only added to, so a student keeps its best subspace, as for EDSR. But each layer reads the stream
through a LayerNorm, which takes away the mean of the channels and divides by their deviation. A rotation passes through
that unchanged if it leaves the mean alone: the subspace therefore has the mean as one direction, and the student's
mean is the teacher's. The gains and biases of the norms in the layers are folded into what reads them, and are 1 and 0.

Layers are fitted one after the other, on what the student itself computes up to there. What writes to the stream is
fitted to the teacher's stream at a later depth, so it also makes up for errors and for layers that are left out;
what reads it is fitted to the teacher's queries, keys, values and units that stay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autocompress.networks.swinir.heads import choose_heads
from autocompress.networks.swinir.network import ResidualBlock, SwinIR, SwinIRConfig, TransformerLayer
from autocompress.networks.swinir.tracing import blocks, channels_last, layers, mask_of, reader, rows_of, starts
from autocompress.networks.swinir.windows import padded
from autocompress.shrink.least_squares import Pixels, bias_of, refit, refit_linear, set_layer
from autocompress.shrink.subspaces import Subspace, normed_subspace

RIDGE = 1e-4
EXPONENT = 1.0  # of the sensitivity; see `subspace`. 0.5 starts 0.01 to 0.07 dB lower, 0 some 0.1 dB


@dataclass(frozen=True)
class _Place:
    """Which of a teacher's layers a student's stands for: number `number` of all."""

    layer: TransformerLayer
    number: int
    depth: int  # where in the teacher's stream it starts
    end: int  # where the student's next layer starts, or its block's convolution


class Projection:
    """Makes students of `teacher`, in eval mode, from LR patches and what `analyse` found of both."""

    def __init__(self, teacher: SwinIR, lr: Tensor, analysis: Mapping[str, Tensor]) -> None:
        self._teacher = teacher
        self._lr = padded(lr, teacher.config.window_size) - teacher.mean
        self._at = Pixels(*analysis["pixels"])
        self._analysis = analysis
        self._starts = starts(teacher.config.depths)

    @torch.no_grad()
    def __call__(self, config: SwinIRConfig) -> SwinIR:
        """The student of this configuration, in eval mode."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # for what a head gets beyond the teacher's
            student = SwinIR(config).to(self._lr.device).eval()
        space = self._space(config.embed_dim)
        first, x = self._enter(student, space)
        mask = mask_of(student, x)
        kept = self._kept_blocks(len(config.depths))
        ends = [self._starts[index] for index in (*kept[1:], len(self._teacher.config.depths))]
        for block, source, end in zip(blocks(student), kept, ends, strict=True):
            x = self._fit_block(block, space, x, mask, source, end)
        self._leave(student, space, x, first)
        return student

    def _kept_blocks(self, count: int) -> list[int]:
        """Those whose layers matter most together; what their convolutions add, those before can learn to add."""
        changes = [self._analysis[f"removed.{index}"].sum() for index in range(len(self._teacher.config.depths))]
        kept: list[int] = torch.stack(changes).topk(count).indices.sort().values.tolist()
        return kept

    def _space(self, size: int) -> Subspace:
        """The student's stream: all of the teacher's, or its mean and the directions beside it that matter most."""
        channels = self._teacher.config.embed_dim
        if size == channels:  # as it is, so that gains that differ stay with their channels
            return Subspace(*2 * (torch.eye(size, device=self._lr.device),))
        return normed_subspace(self._analysis["covariance"], self._analysis["sensitivity"], size, EXPONENT)

    def _stream(self, depth: int, space: Subspace) -> Tensor:
        """The teacher's stream there, in the student's space: (N, n)."""
        return self._analysis[f"stream.{depth}"] @ space.encoder.T

    def _enter(self, student: SwinIR, space: Subspace) -> tuple[Tensor, Tensor]:
        """Set what stands before the body, and return what its convolution and its norm make, (B, H, W, n)."""
        old = self._teacher.conv_first
        set_layer(student.conv_first, space.written_by(old.weight), space.encoder @ bias_of(old))
        first = student.conv_first(self._lr).permute(0, 2, 3, 1)
        set_layer(student.patch_embed[0], *_projected(self._teacher.patch_embed[0], space))
        return first, student.patch_embed(first)

    def _fit_block(
        self, block: ResidualBlock, space: Subspace, start: Tensor, mask: Tensor, source: int, end: int
    ) -> Tensor:
        """Fit a student's block in the place of the teacher's block `source`; `end` is where the next one starts."""
        old = blocks(self._teacher)[source]
        ours, x = layers(block), start
        kept = kept_layers(self._analysis[f"removed.{source}"].tolist(), len(ours))
        depths = [self._starts[source] + 2 * index for index in (*kept, len(layers(old)))]
        before = sum(self._teacher.config.depths[:source])
        for index, layer in enumerate(ours):
            theirs = kept[index]
            place = _Place(layers(old)[theirs], before + theirs, depths[index], depths[index + 1])
            x = self._fit_attention(layer, space, x, mask, place)
            x = self._fit_mlp(layer, space, x, place)
        prior = space.written_by(space.read_by(old.conv.weight))
        target = self._stream(end, space) - rows_of(self._at, start)
        return start + self._fit_conv(block.conv, prior, space.encoder @ bias_of(old.conv), x, target)

    def _fit_attention(
        self, layer: TransformerLayer, space: Subspace, x: Tensor, mask: Tensor, place: _Place
    ) -> Tensor:
        """Fit a student's attention in the place of a teacher's, and return the stream behind it."""
        ours, theirs = layer.attn, place.layer.attn
        values = theirs.qkv(place.layer.norm1(self._analysis[f"stream.{place.depth}"]))
        written = space.encoder @ theirs.proj.weight
        counts = (theirs.num_heads, ours.num_heads)
        heads = choose_heads(values, self._analysis[f"mixed.{place.number}"], written, counts, len(written))
        spare = ours.qkv.weight.clone().view(3, ours.num_heads, -1, len(written))
        weight, bias = _folded(place.layer.norm1, theirs.qkv)
        prior = heads.encoder @ _read_normed(weight, space)
        self._fit_linear(ours.qkv, prior, heads.encoder @ bias, layer.norm1(x), values @ heads.encoder.T)
        # What wider heads have beyond the teacher's adds nothing to the scores, but can learn: queries of 0 only.
        ours.qkv.weight.view_as(spare)[1:, :, heads.shared :] = spare[1:, :, heads.shared :]
        ours.relative_position_bias_table.copy_(theirs.relative_position_bias_table[:, heads.kept])
        target = self._stream(place.depth + 1, space) - rows_of(self._at, x)
        bias = space.encoder @ theirs.proj.bias
        return x + self._fit_linear(ours.proj, written @ heads.decoder, bias, layer.mixed(x, mask), target)

    def _fit_mlp(self, layer: TransformerLayer, space: Subspace, x: Tensor, place: _Place) -> Tensor:
        """Fit a student's MLP in the place of a teacher's, and of what follows that and is left out."""
        old = place.layer
        theirs = old.mlp.fc1(old.norm2(self._analysis[f"stream.{place.depth + 1}"]))
        written = space.encoder @ old.mlp.fc2.weight
        importance = F.gelu(theirs).square().mean(0) * written.square().sum(0)
        kept = importance.topk(len(layer.mlp.fc1.bias)).indices.sort().values
        weight, bias = _folded(old.norm2, old.mlp.fc1)
        hidden = self._fit_linear(
            layer.mlp.fc1, _read_normed(weight[kept], space), bias[kept], layer.norm2(x), theirs[:, kept]
        )
        target = self._stream(place.end, space) - rows_of(self._at, x)
        return x + self._fit_linear(
            layer.mlp.fc2, written[:, kept], space.encoder @ old.mlp.fc2.bias, F.gelu(hidden), target
        )

    def _leave(self, student: SwinIR, space: Subspace, x: Tensor, first: Tensor) -> None:
        """Fit what stands behind the body; convolutions at a higher resolution are not on the stream: copied."""
        teacher = self._teacher
        set_layer(student.norm, *_projected(teacher.norm, space))
        after = teacher.conv_after_body
        target = self._analysis["shallow.0"] @ space.encoder.T - rows_of(self._at, first)
        prior = space.written_by(space.read_by(after.weight))
        shallow = first + self._fit_conv(
            student.conv_after_body, prior, space.encoder @ bias_of(after), student.norm(x), target
        )
        old = reader(teacher)
        self._fit_conv(reader(student), space.read_by(old.weight), bias_of(old), shallow, self._analysis["output.0"])
        if not student.config.direct:
            student.upsample.load_state_dict(teacher.upsample.state_dict())
            student.conv_last.load_state_dict(teacher.conv_last.state_dict())

    def _fit_linear(self, layer: nn.Linear, weight: Tensor, bias: Tensor, x: Tensor, target: Tensor) -> Tensor:
        set_layer(layer, *refit_linear(weight, bias, rows_of(self._at, x), target, RIDGE))
        result: Tensor = layer(x)
        return result

    def _fit_conv(self, conv: nn.Module, weight: Tensor, bias: Tensor, x: Tensor, target: Tensor) -> Tensor:
        """Set `conv` to the given weights, refitted to `target`, and return what it makes of `x`."""
        set_layer(conv, *refit(weight, bias, self._at.taps(x.permute(0, 3, 1, 2)), target, RIDGE))
        return channels_last(conv, x)


def kept_layers(changes: list[float], count: int) -> tuple[int, ...]:
    """Which `count` layers of a block stay: those whose removal changes most, plain and shifted windows in turns."""
    choices = combinations(range(len(changes)), count)
    turns = [kept for kept in choices if all(layer % 2 == i % 2 for i, layer in enumerate(kept))]
    return max(turns, key=lambda kept: sum(changes[layer] for layer in kept))


def _projected(norm: nn.Module, space: Subspace) -> tuple[Tensor, Tensor]:
    """Gain and bias of a norm on the student's space: the nearest to the teacher's, whose gains don't turn with it."""
    assert isinstance(norm, nn.LayerNorm)
    gain = torch.einsum("nc,c,cn->n", space.encoder, norm.weight, space.decoder)
    return gain, space.encoder @ norm.bias


def _folded(norm: nn.LayerNorm, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """What a linear layer is on the norm's features before gain and bias."""
    weight: Tensor = linear.weight
    return weight * norm.weight, linear.bias + weight @ norm.bias


def _read_normed(weight: Tensor, space: Subspace) -> Tensor:
    """A linear layer that reads the normed `space` instead of the normed stream, whose deviation is smaller."""
    return weight @ space.decoder * math.sqrt(len(space.decoder) / len(space.encoder))
