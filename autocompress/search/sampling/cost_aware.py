"""A sampler that knows the cost: FLOPs follow from a config, and latency nearly, so only PSNR is a guess."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from scipy.special import ndtr

from autocompress.search.pareto import Point, Reference, front
from autocompress.search.run.history import Over, history
from autocompress.search.run.record import parameters_of
from autocompress.search.run.study import ordinal
from autocompress.search.sampling.feasible_sampler import FeasibleSampler
from autocompress.search.sampling.observations import Observations, Score
from autocompress.search.sampling.pool import CandidatePool, PoolCandidate
from autocompress.search.sampling.surrogate import Surrogate
from autocompress.search.space.budget import Budget
from autocompress.search.space.cost import COUNTED, Costs
from autocompress.search.space.joint_space import JointSpace
from autocompress.search.space.search_space import Values

Array = NDArray[np.float64]

ENOUGH = 4  # scores, before which points are random
ANYWHERE = 400  # options that are drawn from everywhere in the budget...
NEARBY = 200  # ...and that are some steps away from one on the front


class CostAwareSampler(FeasibleSampler):
    """Proposes the usable point that is expected to enlarge the front's hypervolume most.

    A Gaussian process predicts PSNR-Y, and nothing else is predicted: FLOPs are counted,
    and latency is close to its guess. Trials that are still
    running are taken to score as predicted, so those that are asked for together are spread. What is proposed depends
    on the seed, on how many trials were asked for before, and on the scores so far, and on no state of this object.
    """

    def __init__(
        self,
        branches: JointSpace,
        usable: Callable[[Values], bool],
        seed: int,
        budget: Budget,
        reference: Reference,
        costs: Costs = COUNTED,
    ) -> None:
        super().__init__(lambda seed: RandomSampler(seed=seed), branches, usable, seed)
        self._reference = reference
        self._options = CandidatePool(branches, budget, costs)
        self._over: Over = {}
        self._made: tuple[list[Score], Surrogate] | None = None

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A usable point; there must be one, see `any_usable`. Nothing where a trial was queued with its point."""
        if self._branches.is_whole(parameters_of(trial)):
            return {}
        trials = study.get_trials(deepcopy=False)
        self._restart(ordinal(trial, trials))
        known = [config for config in history(trials, trial, self._over) if self._branches.is_whole(config.point)]
        evidence = Observations.of(known, self._options.at)
        if len(evidence.scores) >= ENOUGH:
            taken = [config.point for config in known]
            for option in self._ranked(evidence):
                point = self._branches.in_study(option.branch, option.values)
                if point not in taken and self._usable(point):
                    return dict(point)
        return dict(self.any_usable() or {})

    def _ranked(self, evidence: Observations) -> Iterator[PoolCandidate]:
        """Options, the most promising first."""
        points = [Point(number, psnr, option.cost) for number, (option, psnr) in enumerate(evidence.trained)]
        best = [evidence.trained[point.trial][0] for point in front(points)]
        pool = self._options.anywhere(self._random, ANYWHERE)
        pool += self._options.near(best, self._random, NEARBY) if best else []
        if not pool:
            return
        predictor = self._predictor(evidence.scores)
        if evidence.pending:
            features = np.array([option.features for option in evidence.pending])
            means, _ = predictor(features)
            for option, mean in zip(evidence.pending, means, strict=True):
                points.append(Point(len(points), float(mean), option.cost))
            predictor = predictor.expecting(features)
        mean, deviation = predictor(np.array([option.features for option in pool]))
        cost = np.array([option.cost for option in pool], dtype=float)
        gains = expected_hypervolume_improvement(cost, mean, deviation, points, self._reference)
        for index in np.argsort(-gains, kind="stable"):
            yield pool[index]

    def _predictor(self, scores: list[Score]) -> Surrogate:
        """Made once for the same scores: several trials may be asked for between two that end."""
        if self._made is None or self._made[0] != scores:
            features, psnr, variance = (np.array(column) for column in zip(*scores, strict=True))
            self._made = scores, Surrogate(features, psnr, variance)
        return self._made[1]


def expected_improvement(mean: Array, deviation: Array, level: Array) -> Array:
    """E[(y - level)+] of a normal y; 0 deviation is allowed. All broadcast."""
    gain = mean - level
    z = gain / np.maximum(deviation, 1e-12)
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.asarray(gain * ndtr(z) + deviation * density)


def expected_hypervolume_improvement(
    cost: Array, mean: Array, deviation: Array, points: list[Point], reference: Reference
) -> Array:
    """By how much [candidates] each is expected to enlarge the hypervolume of `points`, in log10 cost times dB.

    A candidate's cost is known and its PSNR is normal with this mean and deviation (dB). To the right of its cost
    the front is a staircase: the sum over its strips, up to the reference's cost, of width times the expectation of
    what the candidate stands above the strip's level (Emmerich et al. 2006, where one of two objectives is no guess).
    """
    best = [point for point in front(points) if point.cost < reference.cost and point.psnr > reference.psnr]
    edges = np.log10([*(point.cost for point in best), reference.cost])  # where strips end; the first has no start
    levels = np.array([reference.psnr, *(point.psnr for point in best)])
    starts = np.concatenate([[-np.inf], edges[:-1]])
    widths = np.maximum(0.0, edges - np.maximum(starts, np.log10(cost)[:, None]))
    gains = expected_improvement(mean[:, None], deviation[:, None], levels)
    return np.asarray((widths * np.maximum(gains, 0.0)).sum(axis=1))
