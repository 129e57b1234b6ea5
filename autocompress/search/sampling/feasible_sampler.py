"""Sampling inside the budget: a wrapper that gives any Optuna sampler's proposals only where they can be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from autocompress.search.run.history import asked_before
from autocompress.search.space.joint_space import SPACE_PARAM, JointSpace, StudentSpace
from autocompress.search.space.search_space import Values

ENUMERABLE = 100_000  # points: a larger space is not gone through to the last one
ATTEMPTS = 50  # proposals of the inner sampler before it is overruled...
FULL_ATTEMPTS = 100  # ...up to this many trials; then ever fewer, since each takes it time that grows with the trials
LEAST_ATTEMPTS = 4  # ...down to this


class FeasibleSampler(BaseSampler):
    """Proposes only points of the grid that are `usable` (inside the budget, not tried before).

    What is not usable is thrown away before it becomes a trial: it costs no training, and the inner sampler is told
    nothing that is not a measurement. Where the inner sampler finds nothing in some attempts, a random usable point
    is taken. Where there are several branches, the inner sampler says which, and then what of it.

    For each trial the inner sampler is made anew, with a seed from this one's and from how many trials were asked for
    before: a search that was cut off and goes on proposes what it would have proposed. What an inner sampler reads of
    its study may still differ then, where it goes by the trials' numbers: NSGA-II's generations, TPE's weights.
    """

    def __init__(
        self,
        inner: Callable[[int], BaseSampler],
        branches: JointSpace,
        usable: Callable[[Values], bool],
        seed: int,
        attempts: int = ATTEMPTS,
    ) -> None:
        """`inner` makes a sampler from a seed, which has so many `attempts` in the first FULL_ATTEMPTS trials."""
        self._make = inner
        self._attempts = attempts
        self._branches = branches
        self._usable = usable
        self._seed = seed
        self._restart(0)
        self._used_up: set[str] = set()

    def _restart(self, count: int) -> None:
        """Chance begins anew, for the trial before which so many were asked for."""
        sequence = np.random.SeedSequence([self._seed, count])
        self._random = np.random.default_rng(sequence)
        self._inner = self._make(int(sequence.generate_state(1)[0]))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters: a point is proposed, and judged, as a whole."""
        return self._branches.distributions()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A usable point; there must be one, see `any_usable`."""
        count = asked_before(study, trial)
        self._restart(count)
        for _ in range(max(LEAST_ATTEMPTS, self._attempts * FULL_ATTEMPTS // max(FULL_ATTEMPTS, count))):
            point = self._propose(study, trial)
            if self._usable(point):
                return dict(point)
        return dict(self.any_usable() or {})

    def _propose(self, study: Study, trial: FrozenTrial) -> Values:
        branch = self._choose_branch(study, trial)
        parameters = self._branches.parameters(branch)
        proposal = self._ask(study, trial, {name: p.distribution for name, p in parameters.items()})
        return self._branches.in_study(branch, {p.name: p.nearest(proposal[name]) for name, p in parameters.items()})

    def _choose_branch(self, study: Study, trial: FrozenTrial) -> StudentSpace:
        if self._branches.which is None:
            return next(iter(self._branches))
        return self._branches[self._ask(study, trial, {SPACE_PARAM: self._branches.which})[SPACE_PARAM]]

    def _ask(self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """The inner sampler's choice: together what it samples together, by itself the rest."""
        varying = {name: distribution for name, distribution in space.items() if not distribution.single()}
        proposal = self._inner.sample_relative(study, trial, varying) if varying else {}
        for name, distribution in space.items():
            if name not in proposal:
                proposal[name] = self._inner.sample_independent(study, trial, name, distribution)
        return proposal

    def any_usable(self) -> Values | None:
        """A random usable point, of any branch that has one left; None: all are tried."""
        branches = list(self._branches)
        each = self._random.spawn(len(branches))  # so that it does not matter which are known to be used up
        for index in self._random.permutation(len(branches)):
            if branches[index].name in self._used_up:
                continue
            values = self._any_of(branches[index], each[index])
            if values is not None:
                return values
            self._used_up.add(branches[index].name)
        return None

    def _any_of(self, branch: StudentSpace, random: np.random.Generator) -> Values | None:
        """By chance while they are many, else by going through all."""
        space = branch.space
        sizes = [len(parameter.values) for parameter in space.parameters]
        attempts = ATTEMPTS if space.size <= ENUMERABLE else ENUMERABLE // 10
        for _ in range(attempts):
            point = self._point(branch, [int(random.integers(size)) for size in sizes])
            if self._usable(point):
                return point
        if space.size > ENUMERABLE:
            return None
        for number in random.permutation(space.size):
            point = self._point(branch, [int(index) for index in np.unravel_index(number, sizes)])
            if self._usable(point):
                return point
        return None

    def _point(self, branch: StudentSpace, indices: Sequence[int]) -> Values:
        parameters = zip(branch.space.parameters, indices, strict=True)
        return self._branches.in_study(branch, {p.name: p.values[index] for p, index in parameters})

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Never needed for a parameter of the space; for any other the inner sampler answers."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Passed on."""
        self._inner.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Passed on."""
        self._inner.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Passed on."""
        self._inner.reseed_rng()
