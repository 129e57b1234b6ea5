"""Shrinking an EDSR by projecting its streams on subspaces and refitting its convolutions by least squares.

EDSR's residual stream is only added to, so any invertible change of its basis can be absorbed by the
convolutions around it. A student therefore keeps the best subspace of the stream, not the best channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autocompress.families.edsr.network import EDSR, IMG_RANGE, EDSRConfig, shuffle_factors
from autocompress.linalg import Subspace, moment, refit, subspace, taps

NUM_PATCHES = 96
PATCH_SIZE = 48  # LR pixels

RIDGE = 1e-4
# Positions that are fitted: every 2nd LR pixel, then fewer of the many HR pixels. The strides after a
# PixelShuffle share no factor with any scale, so that all sub-pixels are seen.
STRIDES = (2, 5, 7)
_CHUNK = 16  # patches at a time through the teacher


@dataclass(frozen=True)
class Trace:
    """What an EDSR computes on its way, each (B, C, H, W) or, once sampled, (rows, C)."""

    stream: list[Tensor]  # the residual stream before, between and after the blocks
    inner: list[Tensor]  # in each block, before the activation
    features: Tensor  # after the long skip connection
    wide: list[Tensor]  # before each PixelShuffle
    hr: list[Tensor]  # after each PixelShuffle
    output: Tensor  # before the mean and the range are put back


def trace(network: EDSR, lr: Tensor) -> Trace:
    """Run `network` on (B, 3, h, w) images in [0, 1], keeping what it computes."""
    first = _head(network, lr)
    stream, inner = [first], []
    for block in network.body:
        assert isinstance(block, nn.Module)
        inner.append(block.conv1(stream[-1]))
        stream.append(stream[-1] + block.conv2(F.relu(inner[-1])))
    features = network.conv_after_body(stream[-1]) + first
    wide: list[Tensor] = []
    hr = [features]
    for i, factor in enumerate(shuffle_factors(network.scale)):
        wide.append(network.upsample[2 * i](hr[-1]))
        hr.append(F.pixel_shuffle(wide[-1], factor))
    return Trace(stream, inner, features, wide, hr[1:], network.conv_last(hr[-1]))


def _head(network: EDSR, lr: Tensor) -> Tensor:
    first: Tensor = network.conv_first((lr - network.mean) * IMG_RANGE)
    return first


def _rows(features: Tensor, stride: int) -> Tensor:
    """Every `stride`-th position of (B, C, H, W), as (rows, C): the positions of `taps`."""
    return features[..., ::stride, ::stride].movedim(1, -1).flatten(0, -2)


class Projection:
    """Makes students of `teacher`, an EDSR with res_scale 1, from LR patches (B, 3, h, w) in [0, 1]."""

    def __init__(self, teacher: EDSR, lr: Tensor, seed: int) -> None:
        self.teacher = teacher
        self.lr = lr
        self.seen = self._observe()
        self.streams = self._sense(torch.Generator().manual_seed(seed))
        self.order = self._block_order()

    @torch.no_grad()
    def _observe(self) -> Trace:
        """The teacher's trace at the fitted positions."""
        chunks = []
        for part in self.lr.split(_CHUNK):
            full = trace(self.teacher, part.contiguous(memory_format=torch.channels_last))
            lr_stride, *hr_strides = STRIDES
            chunks.append(
                Trace(
                    [_rows(x, lr_stride) for x in full.stream],
                    [_rows(x, lr_stride) for x in full.inner],
                    _rows(full.features, lr_stride),
                    [_rows(x, stride) for x, stride in zip(full.wide, STRIDES, strict=False)],
                    [_rows(x, stride) for x, stride in zip(full.hr, hr_strides, strict=False)],
                    _rows(full.output, STRIDES[len(full.hr)]),
                )
            )
        return Trace(
            [torch.cat(x) for x in zip(*(c.stream for c in chunks), strict=True)],
            [torch.cat(x) for x in zip(*(c.inner for c in chunks), strict=True)],
            torch.cat([c.features for c in chunks]),
            [torch.cat(x) for x in zip(*(c.wide for c in chunks), strict=True)],
            [torch.cat(x) for x in zip(*(c.hr for c in chunks), strict=True)],
            torch.cat([c.output for c in chunks]),
        )

    def _sense(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """Second moment and sensitivity of the residual stream (all depths as one) and of each HR stream."""
        with torch.enable_grad():
            full = trace(self.teacher, self.lr[:_CHUNK])
            probe = torch.randn(full.output.shape, generator=generator)
            wanted = [*full.stream, full.features, *full.hr]
            gradients = torch.autograd.grad(full.output, wanted, probe)
        depths = len(full.stream) + 1
        seen = [*self.seen.stream, self.seen.features]
        pairs = [(sum(x.T @ x / len(x) for x in seen), sum(moment(g) for g in gradients[:depths]))]
        for x, g in zip(self.seen.hr, gradients[depths:], strict=True):
            pairs.append((x.T @ x / len(x), moment(g)))
        return pairs

    @torch.no_grad()
    def _block_order(self) -> list[int]:
        """The teacher's blocks, the one that can be spared most easily last."""
        lr = self.lr[:4, :, :24, :24].contiguous(memory_format=torch.channels_last)
        body = list(self.teacher.body)
        first = _head(self.teacher, lr)
        kept, dropped = list(range(len(body))), []

        def run(x, blocks):
            for b in blocks:
                x = body[b](x)
            return self.teacher.conv_last(self.teacher.upsample(self.teacher.conv_after_body(x) + first))

        target = run(first, kept)
        while len(kept) > 1:
            x, best = first, None
            for i, b in enumerate(kept):
                rise = F.mse_loss(run(x, kept[i + 1 :]), target)
                if best is None or rise < best[0]:
                    best = (rise, b)
                x = body[b](x)
            kept.remove(best[1])
            dropped.append(best[1])
        return kept + dropped[::-1]

    @torch.no_grad()
    def __call__(self, config: EDSRConfig) -> EDSR:
        """The student of this configuration, in eval mode."""
        size = config.num_feat
        main, *hr = [subspace(*pair, size) for pair in self.streams]
        student = EDSR(config).eval()
        first, x = self._first(student, main)
        kept = sorted(self.order[: config.num_block])
        for index, (block, after) in enumerate(zip(kept, [*kept[1:], len(self.teacher.body)], strict=True)):
            x = self._block(student.body[index], main, x, block, after)
        x = self._after_body(student, main, x, first)
        space = main
        for stage, (factor, to) in enumerate(zip(shuffle_factors(config.scale), hr, strict=True)):
            x = self._upsample(student.upsample[2 * stage], space, to, x, stage, factor)
            space = to
        last, stride = self.teacher.conv_last, STRIDES[len(hr)]
        _set(student.conv_last, *_fit(_read(last.weight, space), last.bias, x, stride, self.seen.output))
        return student

    def _first(self, student: EDSR, main: Subspace) -> tuple[Tensor, Tensor]:
        conv = self.teacher.conv_first
        _set(student.conv_first, _write(conv.weight, main), main.encoder @ conv.bias)
        first = _head(student, self.lr.contiguous(memory_format=torch.channels_last))
        return first, first

    def _block(self, block: nn.Module, main: Subspace, x: Tensor, source: int, after: int) -> Tensor:
        old, size = self.teacher.body[source], len(main.encoder)
        z = self.seen.inner[source]
        score = F.relu(z).square().mean(0) * old.conv2.weight.square().sum((0, 2, 3))
        inner = score.topk(size).indices.sort().values
        stride = STRIDES[0]
        _set(block.conv1, *_fit(_read(old.conv1.weight[inner], main), old.conv1.bias[inner], x, stride, z[:, inner]))
        y = F.relu(block.conv1(x))
        target = self.seen.stream[after] @ main.encoder.T - _rows(x, stride)
        prior = _write(old.conv2.weight[:, inner], main)
        _set(block.conv2, *_fit(prior, main.encoder @ old.conv2.bias, y, stride, target))
        return x + block.conv2(y)

    def _after_body(self, student: EDSR, main: Subspace, x: Tensor, first: Tensor) -> Tensor:
        conv, stride = self.teacher.conv_after_body, STRIDES[0]
        target = self.seen.features @ main.encoder.T - _rows(first, stride)
        prior = _write(_read(conv.weight, main), main)
        _set(student.conv_after_body, *_fit(prior, main.encoder @ conv.bias, x, stride, target))
        return student.conv_after_body(x) + first

    def _upsample(self, new: nn.Module, space: Subspace, to: Subspace, x: Tensor, stage: int, factor: int) -> Tensor:
        conv = self.teacher.upsample[2 * stage]
        weight = _read(conv.weight, space).unflatten(0, (-1, factor**2))
        weight = torch.einsum("nc,cs...->ns...", to.encoder, weight).flatten(0, 1)
        bias = (to.encoder @ conv.bias.unflatten(0, (-1, factor**2))).flatten()
        wide = self.seen.wide[stage].unflatten(1, (-1, factor**2))
        target = (to.encoder @ wide).flatten(1)
        _set(new, *_fit(weight, bias, x, STRIDES[stage], target))
        return F.pixel_shuffle(new(x), factor)


def _read(weight: Tensor, space: Subspace) -> Tensor:
    """A convolution's weight that reads `space` instead of the stream."""
    return torch.einsum("oixy,in->onxy", weight, space.decoder)


def _write(weight: Tensor, space: Subspace) -> Tensor:
    """A convolution's weight that writes to `space` instead of the stream."""
    return torch.einsum("no,oixy->nixy", space.encoder, weight)


def _fit(weight: Tensor, bias: Tensor, x: Tensor, stride: int, target: Tensor) -> tuple[Tensor, Tensor]:
    return refit(weight, bias, taps(x, stride), target, RIDGE)


def _set(conv: nn.Module, weight: Tensor, bias: Tensor) -> None:
    conv.weight.copy_(weight)
    conv.bias.copy_(bias)
