"""The scores that a surrogate is fitted to: of trained students, of stopped ones (estimated), and pending trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autocompress.search.pareto import Point, front
from autocompress.search.run.history import TriedConfig
from autocompress.search.sampling.pool import PoolCandidate
from autocompress.search.space.search_space import Values

MAX_SCORES = 120  # scores that a surrogate is fitted to: its time grows with their third power
MIN_GAINS = 4  # trained students that are needed to estimate the gain of a training from a rung to its end

Score = tuple[list[float], float, float]  # features; PSNR-Y in dB; its variance in dB^2, beyond the noise of all
Costed = tuple[float, Score]  # with what PSNR is weighed against


@dataclass(frozen=True)
class Observations:
    """What a sampler knows of PSNR-Y: `scores` are of trained students, and of stopped ones with an estimated gain."""

    trained: list[tuple[PoolCandidate, float]]  # with PSNR-Y in dB
    pending: list[PoolCandidate]
    scores: list[Score]

    @classmethod
    def of(
        cls,
        configs: Sequence[TriedConfig],
        candidate_at: Callable[[Values], PoolCandidate],
        use_stopped: bool = True,
    ) -> Observations:
        """The observations of configs, which are in a fixed order; `use_stopped`: whether stopped students count."""
        pairs = [(candidate_at(config.point), config) for config in configs]
        trained = [(o, c.psnr) for o, c in pairs if c.psnr is not None and math.isfinite(c.psnr)]
        scores = [(candidate.cost, (candidate.features, psnr, 0.0)) for candidate, psnr in trained]
        if use_stopped:
            scores += _scores_of_stopped([config for config in configs if config.psnr is not None], pairs)
        return cls(trained, [candidate for candidate, config in pairs if config.pending], _thinned(scores, trained))


def _scores_of_stopped(
    trained: Sequence[TriedConfig], pairs: Sequence[tuple[PoolCandidate, TriedConfig]]
) -> list[Costed]:
    """Estimates of what stopped students would have scored: the last score plus the mean gain of trained ones since."""
    stopped = [(max(c.at_step), candidate, c) for candidate, c in pairs if c.stopped and c.at_step]
    gains = {step: _gain(trained, step) for step in {step for step, _, _ in stopped}}
    scores = []
    for step, candidate, config in stopped:
        if (gain := gains[step]) is not None:
            scores.append((candidate.cost, (candidate.features, config.at_step[step] + gain[0], gain[1])))
    return scores


def _gain(trained: Sequence[TriedConfig], step: int) -> tuple[float, float] | None:
    """Mean and variance of what trainings gained from this step to their end; None if fewer than MIN_GAINS tell."""
    gains = [config.psnr - config.at_step[step] for config in trained if config.psnr and step in config.at_step]
    return (float(np.mean(gains)), float(np.var(gains))) if len(gains) >= MIN_GAINS else None


def _thinned(scores: list[Costed], trained: Sequence[tuple[PoolCandidate, float]]) -> list[Score]:
    """At most MAX_SCORES scores: those on the front, and an even choice of the others by their distance to it."""
    if len(scores) <= MAX_SCORES:
        return [score for _, score in scores]
    points = front([Point(number, psnr, candidate.cost) for number, (candidate, psnr) in enumerate(trained)])
    on_front = [scores[point.trial] for point in points][:MAX_SCORES]
    levels = {point.cost: point.psnr for point in points}

    def below_front(costed: Costed) -> float:
        """The distance below the front in dB, at the same cost."""
        cost, (_, psnr, _) = costed
        return max((level for at, level in levels.items() if at <= cost), default=0.0) - psnr

    others = sorted((score for score in scores if score not in on_front), key=below_front)
    count = MAX_SCORES - len(on_front)
    evenly = [others[index * len(others) // count] for index in range(count)]
    return [score for _, score in on_front + evenly]
