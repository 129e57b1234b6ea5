"""Shrinking an EDSR by projecting its streams on subspaces and refitting its convolutions by least squares.

EDSR's residual stream is only added to, so any invertible change of its basis can be absorbed by the convolutions
around it. A student therefore keeps the best subspace of the stream, not the best channels. Its convolutions are fitted
one after the other, on what the student itself computes up to there, to what the teacher computes; so each also makes
up for the errors before it, and for the blocks that are left out.

The teacher's blocks have two convolutions. A student's of one is fitted to what both write; of a student's three, the
middle one begins as the identity, so that such a student starts as the one with two does. A folded tail is fitted as
one convolution to the teacher's output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autocompress.networks.edsr.network import EDSR, FOLDED, IMG_RANGE, EDSRConfig, ResidualBlock, shuffle_factors
from autocompress.networks.folding import fold
from autocompress.progress import OnDone, one_by_one, untold
from autocompress.shrink.least_squares import Pixels, bias_of, refit, set_layer
from autocompress.shrink.subspaces import Subspace, covariance, subspace

RIDGE = 1e-4
FITTED_PIXELS = 30_000  # of each layer; twice as many take twice as long, and gain 0.02 dB before training
STREAM_EXPONENT = 0.5  # of the sensitivity: errors in the stream are partly mended by later layers...
HR_EXPONENT = 1.0  # ...those behind the last block are not
SENSED_PATCHES = 12
ORDERED_PATCHES = 6  # by which blocks are ranked
CHUNK = 16  # patches that the teacher computes at a time


@dataclass(frozen=True)
class Trace:
    """What an EDSR computes on its way: each (B, C, H, W), or, at chosen pixels, (N, C)."""

    stream: list[Tensor]  # the residual stream before, between and after the blocks, and after the long skip
    inner: list[Tensor]  # in each block, before the activation
    wide: list[Tensor]  # before each PixelShuffle
    hr: list[Tensor]  # after each PixelShuffle
    output: Tensor  # before the mean and the range are put back
    unshuffled: Tensor  # the same at LR: (B, 3 scale^2, H, W)


@dataclass(frozen=True)
class _Importance:
    """What decides which directions of a stream are kept; see `subspace`."""

    covariance: Tensor
    sensitivity: Tensor
    exponent: float

    def subspace(self, size: int) -> Subspace:
        return subspace(self.covariance, self.sensitivity, size, self.exponent)


def trace(network: EDSR, lr: Tensor) -> Trace:
    """Run `network`, of two convolutions per block, on (B, 3, h, w) images in [0, 1], keeping what it computes."""
    first = _head(network, lr)
    stream, inner = [first], []
    for block in _blocks(network):
        inner.append(block.conv1(stream[-1]))
        stream.append(stream[-1] + block.conv2(F.relu(inner[-1])))
    stream.append(network.conv_after_body(stream[-1]) + first)
    wide: list[Tensor] = []
    hr: list[Tensor] = []
    for stage, factor in enumerate(shuffle_factors(network.scale)):
        wide.append(network.upsample[2 * stage](hr[-1] if hr else stream[-1]))
        hr.append(F.pixel_shuffle(wide[-1], factor))
    output = network.conv_last(hr[-1])
    return Trace(stream, inner, wide, hr, output, F.pixel_unshuffle(output, network.scale))


def analyse(teacher: EDSR, lr: Tensor, seed: int, report: OnDone = untold) -> dict[str, Tensor]:
    """All that a projection needs and that depends on the teacher and the LR patches (B, 3, h, w) in [0, 1] alone.

    By name: `pixels.N`, those that are fitted at LR and after each PixelShuffle; `stream.N`, `inner.N`, `wide.N`,
    `output` and, at LR, `unshuffled`, the teacher's trace there; `folded.weight` and `folded.bias`, its tail as one
    convolution; `order`, its blocks by importance; `covariance` and `sensitivity` of the stream (`main.`) and of what
    comes after each PixelShuffle (`hr.N.`).
    """
    generator = torch.Generator().manual_seed(seed)
    lr = lr.contiguous(memory_format=torch.channels_last)
    count = FITTED_PIXELS * 64 // max(64, teacher.config.num_feat)  # wide ones would fill the memory
    pixels = _choose_pixels(lr, teacher.scale, count, generator)
    done = one_by_one(report, math.ceil(len(lr) / CHUNK) + teacher.config.num_block)
    with torch.no_grad():
        seen = _observe(teacher, lr, pixels, done)
        order = _block_order(teacher, lr[:ORDERED_PATCHES], done)
    main, *hr = _sensitivity(teacher, lr[:SENSED_PATCHES], generator)
    analysis = {"order": order, "main.sensitivity": main, "output": seen.output, "unshuffled": seen.unshuffled}
    tail = nn.Sequential(teacher.upsample, teacher.conv_last)
    analysis["folded.weight"], analysis["folded.bias"] = fold(tail, teacher.config.num_feat, teacher.scale)
    # of the residual stream, all depths together
    analysis["main.covariance"] = torch.stack([covariance(rows) for rows in seen.stream]).sum(0)
    for stage, sensitivity in enumerate(hr):
        analysis |= {f"hr.{stage}.covariance": covariance(seen.hr[stage]), f"hr.{stage}.sensitivity": sensitivity}
    for level, at in enumerate(pixels):
        analysis[f"pixels.{level}"] = torch.stack([at.image, at.row, at.column])
    for kind in ("stream", "inner", "wide"):
        analysis |= {f"{kind}.{index}": rows for index, rows in enumerate(getattr(seen, kind))}
    return analysis


class Projection:
    """Makes students of `teacher`, an EDSR with res_scale 1, from LR patches and what `analyse` found of both."""

    def __init__(self, teacher: EDSR, lr: Tensor, analysis: Mapping[str, Tensor]) -> None:
        self._teacher = teacher
        self._lr = lr.contiguous(memory_format=torch.channels_last)
        self._pixels = [Pixels(*table.to(lr.device)) for table in _numbered(analysis, "pixels")]
        self._stream, self._inner, self._wide = (_numbered(analysis, kind) for kind in ("stream", "inner", "wide"))
        self._output, self._unshuffled = analysis["output"], analysis["unshuffled"]
        self._folded = analysis["folded.weight"], analysis["folded.bias"]
        self._order: list[int] = analysis["order"].tolist()
        self._main = _Importance(analysis["main.covariance"], analysis["main.sensitivity"], STREAM_EXPONENT)
        self._hr = [
            _Importance(analysis[f"hr.{stage}.covariance"], analysis[f"hr.{stage}.sensitivity"], HR_EXPONENT)
            for stage in range(len(shuffle_factors(teacher.scale)))
        ]

    @torch.no_grad()
    def __call__(self, config: EDSRConfig) -> EDSR:
        """The student of this configuration, in eval mode."""
        main, *hr = (importance.subspace(config.num_feat) for importance in (self._main, *self._hr))
        student, teacher = EDSR(config).to(self._lr.device).eval(), self._teacher
        old = teacher.conv_first
        set_layer(student.conv_first, main.written_by(old.weight), main.encoder @ bias_of(old))
        first = x = _head(student, self._lr)
        kept = sorted(self._order[: config.num_block])
        ends = [*kept[1:], len(self._order)]
        for block, source, end in zip(_blocks(student), kept, ends, strict=True):
            x = self._fit_block(block, main, x, source, end)
        at = self._pixels[0]
        prior = main.written_by(main.read_by(teacher.conv_after_body.weight))
        target = self._stream[-1] @ main.encoder.T - at.of(first)
        x = first + self._fit(
            student.conv_after_body, prior, main.encoder @ bias_of(teacher.conv_after_body), x, at, target
        )
        if config.tail == FOLDED:
            weight, bias = self._folded
            self._fit(student.upsample[0], main.read_by(weight), bias, x, at, self._unshuffled)
        else:
            self._fit_tail(student, main, hr, x)
        return student

    def _fit_tail(self, student: EDSR, main: Subspace, hr: Sequence[Subspace], x: Tensor) -> None:
        """Fit the layers of a plain tail, which reads `x`."""
        space = main
        for stage, (factor, to) in enumerate(zip(shuffle_factors(student.scale), hr, strict=True)):
            x = self._fit_upsample(student.upsample[2 * stage], space, to, x, stage, factor)
            space = to
        last = self._teacher.conv_last
        assert isinstance(last, nn.Conv2d)
        self._fit(student.conv_last, space.read_by(last.weight), bias_of(last), x, self._pixels[-1], self._output)

    def _fit_block(self, block: ResidualBlock, main: Subspace, x: Tensor, source: int, end: int) -> Tensor:
        """Fit a student's block in the place of the teacher's blocks from `source` up to `end`."""
        at = self._pixels[0]
        target = self._stream[end] @ main.encoder.T - at.of(x)
        if block.num_layer == 1:
            weight, bias = torch.zeros_like(block.conv1.weight), torch.zeros_like(bias_of(block.conv1))
            return x + self._fit(block.conv1, weight, bias, F.relu(x), at, target)
        old, inner = _blocks(self._teacher)[source], self._inner[source]
        written = main.written_by(old.conv2.weight)
        importance = F.relu(inner).square().mean(0) * written.square().sum((0, 2, 3))
        kept = importance.topk(len(main.encoder)).indices.sort().values
        prior = main.read_by(old.conv1.weight[kept])
        y = F.relu(self._fit(block.conv1, prior, bias_of(old.conv1)[kept], x, at, inner[:, kept]))
        if block.num_layer == 3:
            block.pass_through()
        return x + self._fit(block.last, written[:, kept], main.encoder @ bias_of(old.conv2), y, at, target)

    def _fit_upsample(
        self, conv: nn.Module, space: Subspace, to: Subspace, x: Tensor, stage: int, factor: int
    ) -> Tensor:
        """PixelShuffle makes `factor`^2 channels one: all of them are projected alike."""
        old = self._teacher.upsample[2 * stage]
        assert isinstance(old, nn.Conv2d)
        weight = space.read_by(old.weight).view(-1, factor**2, len(space.encoder), 3, 3)
        weight = torch.einsum("nc,cs...->ns...", to.encoder, weight).flatten(0, 1)
        bias = (to.encoder @ bias_of(old).view(-1, factor**2)).flatten()
        wide = self._wide[stage]
        target = (to.encoder @ wide.view(len(wide), -1, factor**2)).flatten(1)
        return F.pixel_shuffle(self._fit(conv, weight, bias, x, self._pixels[stage], target), factor)

    def _fit(self, conv: nn.Module, weight: Tensor, bias: Tensor, x: Tensor, at: Pixels, target: Tensor) -> Tensor:
        """Set `conv` to the given weights, refitted to `target`, and return what it makes of `x`."""
        set_layer(conv, *refit(weight, bias, at.taps(x, weight.shape[-1]), target, RIDGE))
        result: Tensor = conv(x)
        return result


def _observe(teacher: EDSR, lr: Tensor, pixels: Sequence[Pixels], done: Callable[[], None]) -> Trace:
    """The teacher's trace at the pixels that are fitted."""
    chunks = []
    for first in range(0, len(lr), CHUNK):
        full = trace(teacher, lr[first : first + CHUNK])
        at_lr, *at_hr = (at.within(first, first + CHUNK) for at in pixels)
        chunks.append(
            Trace(
                [at_lr.of(features) for features in full.stream],
                [at_lr.of(features) for features in full.inner],
                [at.of(features) for at, features in zip((at_lr, *at_hr), full.wide, strict=False)],
                [at.of(features) for at, features in zip(at_hr, full.hr, strict=True)],
                at_hr[-1].of(full.output),
                at_lr.of(full.unshuffled),
            )
        )
        done()
    return _concatenated(chunks)


def _numbered(tensors: Mapping[str, Tensor], kind: str) -> list[Tensor]:
    """`kind.0`, `kind.1` and so on."""
    return [tensors[f"{kind}.{index}"] for index in range(sum(name.startswith(f"{kind}.") for name in tensors))]


def _choose_pixels(lr: Tensor, scale: int, count: int, generator: torch.Generator) -> list[Pixels]:
    """At LR, and after each PixelShuffle."""
    images, _, height, width = lr.shape
    sizes = [(height, width)]
    for factor in shuffle_factors(scale):
        sizes.append((sizes[-1][0] * factor, sizes[-1][1] * factor))
    return [Pixels.choose(images, *size, count, generator) for size in sizes]


def _sensitivity(teacher: EDSR, lr: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Mean g g^T, (C, C), of the stream, summed over depths, and after each PixelShuffle; g: gradients of probes."""
    with torch.enable_grad():
        full = trace(teacher, lr.clone().requires_grad_())
        probe = torch.randn(full.output.shape, generator=generator).to(lr.device)
        gradients = torch.autograd.grad(full.output, [*full.stream, *full.hr], probe)
    rows = [gradient.movedim(1, -1).flatten(0, -2) for gradient in gradients]
    moments = [(row.T @ row / len(row)).double() for row in rows]
    depths = len(full.stream)
    return [torch.stack(moments[:depths]).sum(0), *moments[depths:]]


def _block_order(teacher: EDSR, lr: Tensor, done: Callable[[], None]) -> Tensor:
    """The blocks' numbers, first the one whose removal alone changes the output most."""
    full, blocks = trace(teacher, lr), _blocks(teacher)
    changes = []
    for removed in range(len(blocks)):
        x = full.stream[removed]
        for block in blocks[removed + 1 :]:
            x = block(x)
        x = teacher.upsample(teacher.conv_after_body(x) + full.stream[0])
        changes.append(F.mse_loss(teacher.conv_last(x), full.output).item())
        done()
    return torch.tensor(changes).argsort(descending=True, stable=True)


def _concatenated(chunks: Sequence[Trace]) -> Trace:
    """The pixels of all chunks as one."""
    stream, inner, wide, hr = (
        [torch.cat(parts) for parts in zip(*(getattr(chunk, kind) for chunk in chunks), strict=True)]
        for kind in ("stream", "inner", "wide", "hr")
    )
    output, unshuffled = (torch.cat([getattr(chunk, kind) for chunk in chunks]) for kind in ("output", "unshuffled"))
    return Trace(stream, inner, wide, hr, output, unshuffled)


def _blocks(network: EDSR) -> list[ResidualBlock]:
    return [block for block in network.body if isinstance(block, ResidualBlock)]


def _head(network: EDSR, lr: Tensor) -> Tensor:
    first: Tensor = network.conv_first((lr - network.mean) * IMG_RANGE)
    return first
