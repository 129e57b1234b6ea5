"""Points within the budget with what is known of them before training: from everywhere, or near given ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.distributions import CategoricalDistribution

from autocompress.distill.recipe import VARIABLE, Recipe
from autocompress.networks.base import Config
from autocompress.search.sampling.surrogate import Encoding
from autocompress.search.space.budget import Budget
from autocompress.search.space.cost import COUNTED, Costs
from autocompress.search.space.joint_space import JointSpace, StudentSpace
from autocompress.search.space.parameter import Parameter, Value
from autocompress.search.space.search_space import Candidate, Values

FAR = 3  # steps of the grid, the most that a number changes by from a point to a near one

Counts = tuple[Value, ...]  # those of a network, in the order of its space's parameters


@dataclass(frozen=True)
class PoolCandidate:
    """A point of a branch, under the names of its space."""

    branch: StudentSpace
    values: Values
    flops: int
    cost: float  # the same, or a latency: measured or guessed
    features: list[float]


@dataclass(frozen=True)
class _Network:
    config: Config
    flops: int

    @classmethod
    def of(cls, candidate: Candidate) -> _Network:
        return cls(candidate.config, candidate.flops)


class CandidatePool:
    """All that a search may propose: each network within the budget, with any recipe of its space."""

    def __init__(self, branches: JointSpace, budget: Budget, costs: Costs = COUNTED) -> None:
        self._branches = branches
        self._costs = costs
        self._budget = budget
        self._encoding = Encoding(branches)
        self._networks = {branch.name: _networks(branch, budget) for branch in branches}
        self._known: dict[tuple[tuple[str, Value], ...], tuple[StudentSpace, Values, _Network, list[float]]] = {}

    def at(self, point: Values) -> PoolCandidate:
        """The one at a study's point, within the budget or not; kept but for its cost: a guess of that may change."""
        key = tuple(point.items())
        if key not in self._known:
            branch, values = self._branches.split(point)
            counts = tuple(values[parameter.name] for parameter in _counts(branch))
            network = self._networks[branch.name].get(counts) or _Network.of(self._branches.candidate(point, Recipe()))
            self._known[key] = branch, values, network, self._encoding.encode(branch, values, network.flops)
        branch, values, network, features = self._known[key]
        return PoolCandidate(branch, values, network.flops, self._costs.guess(branch.family, network.config), features)

    def anywhere(self, random: np.random.Generator, number: int) -> list[PoolCandidate]:
        """Up to so many, evenly over the branches, and over the networks of each."""
        inside = {branch.name: self._inside(branch) for branch in self._branches}
        able = [branch for branch in self._branches if inside[branch.name]]
        found = []
        for branch in able:
            networks = inside[branch.name]
            for index in random.integers(len(networks), size=number // len(able)):
                counts, network = networks[index]
                values = dict(zip((p.name for p in _counts(branch)), counts, strict=True))
                recipe = {p.name: _any(p, random) for p in branch.space.parameters if p.name not in values}
                found.append(self._option(branch, values | recipe, network))
        return found

    def near(self, options: Sequence[PoolCandidate], random: np.random.Generator, number: int) -> list[PoolCandidate]:
        """Up to so many that differ from one of these in one or two parameters."""
        found = []
        for index in random.integers(len(options), size=number):
            start = options[index]
            parameters = [p for p in start.branch.space.parameters if len(p.values) > 1]
            values = dict(start.values)
            for which in random.integers(len(parameters), size=random.integers(1, 3)) if parameters else ():
                parameter = parameters[which]
                values[parameter.name] = _near(parameter, values[parameter.name], random)
            network = self._networks[start.branch.name].get(tuple(values[p.name] for p in _counts(start.branch)))
            if network is not None and self._allows(start.branch, network):
                found.append(self._option(start.branch, values, network))
        return found

    def _inside(self, branch: StudentSpace) -> list[tuple[Counts, _Network]]:
        return [item for item in self._networks[branch.name].items() if self._allows(branch, item[1])]

    def _allows(self, branch: StudentSpace, network: _Network) -> bool:
        """Whether it is within the budget, as far as can be guessed."""
        limit = self._budget.latency
        return limit is None or self._costs.guess(branch.family, network.config) <= limit

    def _option(self, branch: StudentSpace, values: Values, network: _Network) -> PoolCandidate:
        cost = self._costs.guess(branch.family, network.config)
        return PoolCandidate(branch, values, network.flops, cost, self._encoding.encode(branch, values, network.flops))


def _networks(branch: StudentSpace, budget: Budget) -> dict[Counts, _Network]:
    """Each network of a branch within the budget's FLOPs and parameters, by its counts."""
    family, names = branch.family, [parameter.name for parameter in _counts(branch)]
    return {
        tuple(values[name] for name in names): _Network(config, family.flops(config))
        for values, config in branch.space.sizes(branch.teacher.config)
        if budget.without_latency().allows(family.flops(config), family.params(config))
    }


def _counts(branch: StudentSpace) -> list[Parameter]:
    """What a network's size depends on."""
    return [parameter for parameter in branch.space.parameters if parameter.name not in VARIABLE]


def _any(parameter: Parameter, random: np.random.Generator) -> Value:
    return parameter.values[int(random.integers(len(parameter.values)))]


def _near(parameter: Parameter, value: Value, random: np.random.Generator) -> Value:
    if isinstance(parameter.distribution, CategoricalDistribution):
        return _any(parameter, random)
    index = parameter.values.index(parameter.nearest(value)) + int(random.integers(-FAR, FAR + 1))
    return parameter.values[min(max(index, 0), len(parameter.values) - 1)]
