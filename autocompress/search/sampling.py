"""Sampling inside the budget: a wrapper that gives any Optuna sampler's proposals only where they can be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from autocompress.search.space import Space, Values

ENUMERABLE = 100_000  # points: a larger space is not gone through to the last one
ATTEMPTS = 50  # proposals of the inner sampler before it is overruled...
FULL_ATTEMPTS = 100  # ...up to this many trials; then ever fewer, since each takes it time that grows with the trials


class FeasibleSampler(BaseSampler):
    """Proposes only points of the grid that are `usable` (inside the budget, not tried before).

    What is not usable is thrown away before it becomes a trial: it costs no training, and the inner sampler is told
    nothing that is not a measurement. Where the inner sampler finds nothing in some attempts, a random usable point
    is taken.
    """

    def __init__(self, inner: BaseSampler, space: Space, usable: Callable[[Values], bool], seed: int) -> None:
        self._inner = inner
        self._space = space
        self._usable = usable
        self._random = np.random.default_rng(seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters: a point is proposed, and judged, as a whole."""
        return {parameter.name: parameter.distribution for parameter in self._space.parameters}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A usable point; there must be one, see `any_usable`."""
        for _ in range(max(4, ATTEMPTS * FULL_ATTEMPTS // max(FULL_ATTEMPTS, trial.number))):
            values = self._propose(study, trial, search_space)
            if self._usable(values):
                return dict(values)
        return dict(self.any_usable() or {})

    def _propose(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> Values:
        inner_space = self._inner.infer_relative_search_space(study, trial)
        proposal = self._inner.sample_relative(study, trial, inner_space)
        for name, distribution in search_space.items():
            if name not in proposal:
                proposal[name] = self._inner.sample_independent(study, trial, name, distribution)
        return {p.name: p.nearest(proposal[p.name]) for p in self._space.parameters}

    def any_usable(self) -> Values | None:
        """A random usable point, by chance while they are many, else by going through all; None: all are tried."""
        sizes = [len(parameter.values) for parameter in self._space.parameters]
        attempts = ATTEMPTS if self._space.size <= ENUMERABLE else ENUMERABLE // 10
        for _ in range(attempts):
            values = self._point([int(self._random.integers(size)) for size in sizes])
            if self._usable(values):
                return values
        if self._space.size > ENUMERABLE:
            return None
        for number in self._random.permutation(self._space.size):
            values = self._point([int(index) for index in np.unravel_index(number, sizes)])
            if self._usable(values):
                return values
        return None

    def _point(self, indices: Sequence[int]) -> Values:
        return {p.name: p.values[index] for p, index in zip(self._space.parameters, indices, strict=True)}

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
