"""Sampling inside the budget: a wrapper that gives any Optuna sampler's proposals only where they may be tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from typing_extensions import override

from autocompress.search.run.study import ordinal
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.space.joint_space import SPACE_PARAM, StudentSpace
from autocompress.search.space.search_space import Values

ENUMERABLE = 100_000  # points; a larger space is never searched exhaustively
ATTEMPTS = 50  # proposals of the inner sampler before a random point is taken instead
FULL_ATTEMPTS = 100  # trials with all ATTEMPTS; later ones have fewer, as proposals take longer with more trials
LEAST_ATTEMPTS = 4  # attempts at the least


class FeasibleSampler(BaseSampler):
    """Proposes only points that the feasible set allows: inside the budget, not tried before.

    Other proposals are dropped before they become trials: they cost no training, and the inner sampler learns from real
    scores only. If none of the inner sampler's attempts is allowed, a random allowed point is taken. If there are
    several spaces, the inner sampler chooses the space first, then the point in it.

    For each trial a new inner sampler is made, seeded by this one's seed and by how many trials were asked for before:
    so a search that was interrupted and resumed proposes what it would have proposed anyway. An exception are inner
    samplers that use the numbers of trials in their study: NSGA-II (generations) and TPE (weights).
    """

    def __init__(
        self, inner: Callable[[int], BaseSampler], feasible: FeasibleSet, seed: int, attempts: int = ATTEMPTS
    ) -> None:
        """`inner` makes a sampler from a seed, which has so many `attempts` in the first FULL_ATTEMPTS trials."""
        self._make = inner
        self._feasible = feasible
        self._joint_space = feasible.joint_space
        self._seed = seed
        self._attempts = attempts
        self._restart(0)
        self._used_up: set[str] = set()

    def _restart(self, count: int) -> None:
        """Seed all random numbers for the trial that comes after `count` others."""
        sequence = np.random.SeedSequence([self._seed, count])
        self._random = np.random.default_rng(sequence)
        self._inner = self._make(int(sequence.generate_state(1)[0]))

    @override
    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters, so that a point is proposed and checked as a whole."""
        return self._joint_space.distributions()

    @override
    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """An allowed point; there must be one (see `any_allowed`)."""
        count = ordinal(trial, study.get_trials(deepcopy=False))
        self._restart(count)
        for _ in range(max(LEAST_ATTEMPTS, self._attempts * FULL_ATTEMPTS // max(FULL_ATTEMPTS, count))):
            point = self._propose(study, trial)
            if self._feasible.allows(point):
                return dict(point)
        return dict(self.any_allowed() or {})

    def _propose(self, study: Study, trial: FrozenTrial) -> Values:
        student_space = self._choose_space(study, trial)
        parameters = self._joint_space.parameters(student_space)
        proposal = self._ask(study, trial, {name: p.distribution for name, p in parameters.items()})
        values = {p.name: p.nearest(proposal[name]) for name, p in parameters.items()}
        return self._joint_space.in_study(student_space, values)

    def _choose_space(self, study: Study, trial: FrozenTrial) -> StudentSpace:
        if self._joint_space.which is None:
            return next(iter(self._joint_space))
        return self._joint_space[self._ask(study, trial, {SPACE_PARAM: self._joint_space.which})[SPACE_PARAM]]

    def _ask(self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """The inner sampler's choice: together what it samples together, by itself the rest."""
        varying = {name: distribution for name, distribution in space.items() if not distribution.single()}
        proposal = self._inner.sample_relative(study, trial, varying) if varying else {}
        for name, distribution in space.items():
            if name not in proposal:
                proposal[name] = self._inner.sample_independent(study, trial, name, distribution)
        return proposal

    def any_allowed(self) -> Values | None:
        """A random allowed point of any space that has one left; None if all have been tried."""
        student_spaces = list(self._joint_space)
        # a generator for each space, so that the result does not depend on which spaces are known to be used up
        generators = self._random.spawn(len(student_spaces))
        for index in self._random.permutation(len(student_spaces)):
            student_space = student_spaces[index]
            if student_space.name in self._used_up:
                continue
            point = self._any_of(student_space, generators[index])
            if point is not None:
                return point
            self._used_up.add(student_space.name)
        return None

    def _any_of(self, student_space: StudentSpace, random: np.random.Generator) -> Values | None:
        """A random allowed point of a space: by random draws, then by a search of all of it unless it is large."""
        space = student_space.space
        sizes = [len(parameter.values) for parameter in space.parameters]
        attempts = ATTEMPTS if space.size <= ENUMERABLE else ENUMERABLE // 10
        for _ in range(attempts):
            point = self._point(student_space, [int(random.integers(size)) for size in sizes])
            if self._feasible.allows(point):
                return point
        if space.size > ENUMERABLE:
            return None
        for number in random.permutation(space.size):
            point = self._point(student_space, [int(index) for index in np.unravel_index(number, sizes)])
            if self._feasible.allows(point):
                return point
        return None

    def _point(self, student_space: StudentSpace, indices: Sequence[int]) -> Values:
        parameters = zip(student_space.space.parameters, indices, strict=True)
        return self._joint_space.in_study(student_space, {p.name: p.values[index] for p, index in parameters})

    @override
    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Ask the inner sampler; never called for a parameter of the space."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    @override
    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._inner.before_trial(study, trial)

    @override
    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._inner.after_trial(study, trial, state, values)

    @override
    def reseed_rng(self) -> None:
        self._inner.reseed_rng()
