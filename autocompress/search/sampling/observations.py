"""What the configs so far say about PSNR-Y: in full, in part, or not yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autocompress.search.pareto import Point, front
from autocompress.search.run.history import KnownConfig
from autocompress.search.sampling.pool import PoolCandidate
from autocompress.search.space.search_space import Values

MOST = 120  # scores that a predictor is made from: its time grows with their third power
PAIRS = 4  # trained students from which it is told what a training from a rung to its end gains

Score = tuple[list[float], float, float]  # features; PSNR-Y in dB; how uncertain that is, in dB^2
Costed = tuple[float, Score]  # with what PSNR is weighed against


@dataclass(frozen=True)
class Observations:
    """`scores` have the trained students, and those stopped on their way, for whom the rest of the way is guessed."""

    trained: list[tuple[PoolCandidate, float]]  # with PSNR-Y in dB
    pending: list[PoolCandidate]
    scores: list[Score]

    @classmethod
    def of(
        cls, known: Sequence[KnownConfig], option_at: Callable[[Values], PoolCandidate], partial: bool = True
    ) -> Observations:
        """From configs in an order of their own; `partial`: whether stopped students say anything."""
        found = [(option_at(config.point), config) for config in known]
        trained = [(o, c.psnr) for o, c in found if c.psnr is not None and math.isfinite(c.psnr)]
        scores = [(option.cost, (option.features, psnr, 0.0)) for option, psnr in trained]
        if partial:
            scores += _guessed([config for config in known if config.psnr is not None], found)
        return cls(trained, [option for option, config in found if config.pending], _thinned(scores, trained))


def _guessed(whole: Sequence[KnownConfig], found: Sequence[tuple[PoolCandidate, KnownConfig]]) -> list[Costed]:
    """What stopped students would have scored: their last score, and what others gained from there to the end."""
    stopped = [(max(config.at_step), option, config) for option, config in found if config.stopped and config.at_step]
    gains = {step: _gains(whole, step) for step in {step for step, _, _ in stopped}}
    scores = []
    for step, option, config in stopped:
        if (gain := gains[step]) is not None:
            scores.append((option.cost, (option.features, config.at_step[step] + gain[0], gain[1])))
    return scores


def _gains(whole: Sequence[KnownConfig], step: int) -> tuple[float, float] | None:
    """The mean and the variance of what a training gains from here to its end, where enough of them say so."""
    gains = [config.psnr - config.at_step[step] for config in whole if config.psnr and step in config.at_step]
    return (float(np.mean(gains)), float(np.var(gains))) if len(gains) >= PAIRS else None


def _thinned(scores: list[Costed], trained: Sequence[tuple[PoolCandidate, float]]) -> list[Score]:
    """At most MOST: the front's, and of the others evenly from the nearly as good to the worst."""
    if len(scores) <= MOST:
        return [score for _, score in scores]
    best = front([Point(number, psnr, option.cost) for number, (option, psnr) in enumerate(trained)])
    kept = [scores[point.trial] for point in best][:MOST]
    levels = {point.cost: point.psnr for point in best}

    def missing(costed: Costed) -> float:
        """dB below the front at the same cost."""
        cost, (_, psnr, _) = costed
        return max((at for level, at in levels.items() if level <= cost), default=0.0) - psnr

    others = sorted((score for score in scores if score not in kept), key=missing)
    count = MOST - len(kept)
    return [score for _, score in kept + [others[index * len(others) // count] for index in range(count)]]
