"""Compact students of any teacher: layers fitted one after the other to what the teacher's output has and they lack.

Such a student has no layers in common with its teacher, so its own are set up so that there is something to refine: a
third of its channels (the stream) pass on unchanged, and each layer adds to them what it can see of their target. The
other channels have the same in them behind a ReLU. The target is the same for all layers: the image, and the directions
in which the teacher's output differs most from the image with its pixels repeated.

Against random weights that is worth 0.1 to 0.9 dB after 300 steps, most for narrow and deep students
(benchmarks/compact_starts.py).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping

import torch
from torch import Tensor, nn

from autocompress.networks.base import SRNetwork
from autocompress.networks.compact.network import Compact, CompactConfig, repeated_pixels
from autocompress.progress import OnDone, untold
from autocompress.shrink.least_squares import Pixels, refit, set_layer

FITTED_PIXELS = 30_000
STREAM = 0.5  # share of the channels that pass on
DEVIATION = 0.3  # of what is on the stream: weights are then about as large as random ones
CHUNK = 16  # patches that the teacher computes at a time


@torch.no_grad()
def analyse(teacher: SRNetwork, lr: Tensor, seed: int, report: OnDone = untold) -> dict[str, Tensor]:
    """What the start of a student needs of a teacher of any family, seen on LR patches (B, 3, h, w) in [0, 1].

    By name: `pixels`, those that are fitted, and there `missing` (N, 3 scale^2), what the teacher's sub-pixels have
    beyond the image's.
    """
    generator = torch.Generator().manual_seed(seed)
    at = Pixels.choose(len(lr), lr.shape[2], lr.shape[3], FITTED_PIXELS, generator)
    missing = []
    for first in range(0, len(lr), CHUNK):
        images = lr[first : first + CHUNK]
        beyond = nn.functional.pixel_unshuffle(teacher(images), teacher.scale) - repeated_pixels(images, teacher.scale)
        missing.append(at.within(first, first + CHUNK).of(beyond))
        report(min(first + CHUNK, len(lr)), len(lr))
    return {"pixels": torch.stack([at.image, at.row, at.column]).to(lr.device), "missing": torch.cat(missing)}


class Start:
    """Makes students from LR patches and what `analyse` found of a teacher."""

    def __init__(self, lr: Tensor, analysis: Mapping[str, Tensor]) -> None:
        self._lr = lr
        self._at = Pixels(*analysis["pixels"])
        self._missing = analysis["missing"]

    @torch.no_grad()
    def steps(self, config: CompactConfig) -> Generator[float, None, Compact]:
        """The student of this configuration, in eval mode; the share of its layers that are fitted is yielded."""
        student = Compact(config).to(self._lr.device).eval()
        target = self._target(max(1, round(STREAM * config.num_feat)))
        x, passing = self._lr, 0
        for number, (conv, activation) in enumerate(student.hidden, 1):
            x = self._fit_hidden(conv, activation, x, target, passing)
            passing = target.shape[1]
            yield number / (len(student.hidden) + 1)
        last = student.body[-1]
        assert isinstance(last, nn.Conv2d)
        set_layer(last, *self._fitted(torch.zeros_like(last.weight), x, self._missing))
        return student

    def _target(self, channels: int) -> Tensor:
        """What is on the stream at the pixels that are fitted, (N, channels), all with the same deviation."""
        image = self._at.of(self._lr)
        colours = min(3, channels // 2)
        parts = [_principal(image, colours), _principal(self._missing, channels - colours)]
        target = torch.cat(parts, 1)
        scale: Tensor = DEVIATION / target.std(0).clamp_min(1e-6)
        return target * scale

    def _fit_hidden(self, conv: nn.Conv2d, activation: nn.PReLU, x: Tensor, target: Tensor, passing: int) -> Tensor:
        """Fit a layer that reads `x`, of which the first `passing` channels are the stream; what it makes of it."""
        channels, feat = target.shape[1], len(conv.weight)
        prior = torch.zeros_like(conv.weight[:channels])
        for channel in range(passing):
            prior[channel, channel, 1, 1] = 1
        weight, bias = self._fitted(prior, x, target)
        copies = torch.arange(feat, device=x.device) % channels
        set_layer(conv, weight[copies], bias[copies])
        slopes = torch.zeros(feat, device=x.device)
        slopes[:channels] = 1
        activation.load_state_dict({"weight": slopes})
        result: Tensor = activation(conv(x))
        return result

    def _fitted(self, prior: Tensor, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return refit(prior, prior.new_zeros(len(prior)), self._at.taps(x), target)


def _principal(rows: Tensor, count: int) -> Tensor:
    """The `count` directions in which centred rows (N, C) vary most, (N, count); from the first again beyond C."""
    centred = rows - rows.mean(0)
    vectors = torch.linalg.eigh((centred.T @ centred).double())[1].flip(1).float()
    directions: Tensor = vectors[:, torch.arange(count, device=rows.device) % rows.shape[1]]
    return centred @ directions
