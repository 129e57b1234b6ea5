"""A sampler that knows costs before training: FLOPs exactly and latency nearly, so that only PSNR is predicted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from scipy.special import ndtr
from typing_extensions import override

from autocompress.search.pareto import Point, ReferencePoint, front
from autocompress.search.run.history import TrialHistory
from autocompress.search.run.record import parameters_of
from autocompress.search.run.study import ordinal
from autocompress.search.sampling.feasible_sampler import FeasibleSampler
from autocompress.search.sampling.observations import Observations, Score
from autocompress.search.sampling.pool import CandidatePool, PoolCandidate
from autocompress.search.sampling.surrogate import Surrogate
from autocompress.search.space.feasible import FeasibleSet

Array = NDArray[np.float64]

MIN_SCORES = 4  # with fewer scores no surrogate is fitted, and points are random
ANYWHERE = 400  # candidates that are drawn from all within the budget
NEARBY = 200  # candidates that are drawn some steps away from those on the front


class CostAwareSampler(FeasibleSampler):
    """Proposes the feasible point that is expected to enlarge the front's hypervolume most.

    PSNR-Y alone is predicted, by a Gaussian process: FLOPs are counted, and a latency is close to its guess. Trials
    that are still running count as if they had scored as predicted, so that trials asked for together differ. What is
    proposed depends on the seed, the number of trials asked for before, and the scores so far, not on this object's
    state.
    """

    def __init__(
        self,
        feasible: FeasibleSet,
        seed: int,
        reference: ReferencePoint,
        pool: CandidatePool | None = None,
        use_stopped: bool = True,
    ) -> None:
        """Candidates are drawn from `pool`; `use_stopped`: whether scores of stopped students are used too."""
        super().__init__(lambda seed: RandomSampler(seed=seed), feasible, seed)
        self._reference = reference
        self._use_stopped = use_stopped
        self._pool = pool or CandidatePool(feasible)
        self._history = TrialHistory()
        self._fitted: tuple[list[Score], Surrogate] | None = None

    @override
    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A feasible point; there must be one, see `any_allowed`. Nothing for a trial queued with its point."""
        if self._joint_space.is_whole(parameters_of(trial)):
            return {}
        trials = study.get_trials(deepcopy=False)
        self._restart(ordinal(trial, trials))
        configs = [c for c in self._history.configs(trials, trial) if self._joint_space.is_whole(c.point)]
        observations = Observations.of(configs, self._pool.at, self._use_stopped)
        if len(observations.scores) >= MIN_SCORES:
            taken = [config.point for config in configs]
            for candidate in self._ranked(observations):
                point = self._joint_space.in_study(candidate.student_space, candidate.values)
                if point not in taken and self._feasible.allows(point):
                    return dict(point)
        return dict(self.any_allowed() or {})

    def _ranked(self, observations: Observations) -> Iterator[PoolCandidate]:
        """Candidates, the most promising first."""
        trained = observations.trained
        points = [Point(number, psnr, candidate.cost) for number, (candidate, psnr) in enumerate(trained)]
        on_front = [trained[point.trial][0] for point in front(points)]
        candidates = self._pool.anywhere(self._random, ANYWHERE)
        candidates += self._pool.near(on_front, self._random, NEARBY) if on_front else []
        if not candidates:
            return
        surrogate = self._surrogate(observations.scores)
        if observations.pending:
            features = np.array([candidate.features for candidate in observations.pending])
            means, _ = surrogate(features)
            for candidate, mean in zip(observations.pending, means, strict=True):
                points.append(Point(len(points), float(mean), candidate.cost))
            surrogate = surrogate.expecting(features)
        mean, deviation = surrogate(np.array([candidate.features for candidate in candidates]))
        cost = np.array([candidate.cost for candidate in candidates], dtype=float)
        gains = expected_hypervolume_improvement(cost, mean, deviation, points, self._reference)
        for index in np.argsort(-gains, kind="stable"):
            yield candidates[index]

    def _surrogate(self, scores: list[Score]) -> Surrogate:
        """The surrogate for these scores; cached, as several trials may be asked for before the next one ends."""
        if self._fitted is None or self._fitted[0] != scores:
            features, psnr, variance = (np.array(column) for column in zip(*scores, strict=True))
            self._fitted = scores, Surrogate.fit(features, psnr, variance)
        return self._fitted[1]


def expected_improvement(mean: Array, deviation: Array, level: Array) -> Array:
    """E[(y - level)+] of a normal y; 0 deviation is allowed. All broadcast."""
    gain = mean - level
    z = gain / np.maximum(deviation, 1e-12)
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.asarray(gain * ndtr(z) + deviation * density)


def expected_hypervolume_improvement(
    cost: Array, mean: Array, deviation: Array, points: list[Point], reference: ReferencePoint
) -> Array:
    """How much [candidates] each is expected to enlarge the hypervolume of `points`, in log10 cost times dB.

    A candidate's cost is known; its PSNR is normal with this mean and deviation (dB). Above its cost the front is a
    staircase. The result is the sum over the stairs, up to the reference's cost, of a stair's width times the expected
    height of the candidate above it (Emmerich et al. 2006, for the case that one of two objectives is known).
    """
    steps = [point for point in front(points) if point.cost < reference.cost and point.psnr > reference.psnr]
    edges = np.log10([*(point.cost for point in steps), reference.cost])  # where strips end; the first has no start
    levels = np.array([reference.psnr, *(point.psnr for point in steps)])
    starts = np.concatenate([[-np.inf], edges[:-1]])
    widths = np.maximum(0.0, edges - np.maximum(starts, np.log10(cost)[:, None]))
    gains = expected_improvement(mean[:, None], deviation[:, None], levels)
    return np.asarray((widths * np.maximum(gains, 0.0)).sum(axis=1))
