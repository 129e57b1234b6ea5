"""Points within the budget, with what they cost and their features: drawn from everywhere, or near given ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.distributions import CategoricalDistribution

from autocompress.distill.recipe import Recipe
from autocompress.search.space.encoding import Encoding
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.space.joint_space import Network, StudentSpace
from autocompress.search.space.parameter import Parameter, Value
from autocompress.search.space.search_space import Values

MAX_STEPS = 3  # of the grid, by which a number differs between a point and one near it


@dataclass(frozen=True)
class PoolCandidate:
    """A point of a student space, under the names of its parameters there."""

    student_space: StudentSpace
    values: Values
    flops: int
    cost: float  # the same, or a latency: measured or guessed
    features: list[float]


class CandidatePool:
    """All that a search may propose: each network within the budget, with any recipe of its space."""

    def __init__(self, feasible: FeasibleSet, encoding: Encoding | None = None) -> None:
        self._feasible = feasible
        self._joint_space = feasible.joint_space
        self._encoding = encoding or Encoding(feasible.joint_space)
        self._encoded: dict[tuple[tuple[str, Value], ...], tuple[StudentSpace, Values, Network, list[float]]] = {}

    def at(self, point: Values) -> PoolCandidate:
        """The candidate of a study's point, within the budget or not.

        All but its cost is cached; the guess of a latency may change.
        """
        key = tuple(point.items())
        if key not in self._encoded:
            student_space, values = self._joint_space.split(point)
            network = student_space.networks.get(student_space.counts(values)) or self._network(point)
            features = self._encoding.encode(student_space, values, network.flops)
            self._encoded[key] = student_space, values, network, features
        student_space, values, network, features = self._encoded[key]
        cost = self._feasible.cost(student_space, network)
        return PoolCandidate(student_space, values, network.flops, cost, features)

    def _network(self, point: Values) -> Network:
        """The network of a point that is not in the space (an earlier session may have had another space)."""
        candidate = self._joint_space.candidate(point, Recipe())
        return Network(candidate.values, candidate.config, candidate.flops, candidate.params)

    def anywhere(self, random: np.random.Generator, number: int) -> list[PoolCandidate]:
        """Draw up to `number` candidates, evenly over the student spaces and over the networks of each."""
        within = {student_space.name: self._feasible.within(student_space) for student_space in self._joint_space}
        able = [student_space for student_space in self._joint_space if within[student_space.name]]
        candidates = []
        for student_space in able:
            networks = within[student_space.name]
            for index in random.integers(len(networks), size=number // len(able)):
                network = networks[index]
                counts = {parameter.name: network.values[parameter.name] for parameter in student_space.space.counts}
                recipe = {p.name: _any(p, random) for p in student_space.space.parameters if p.name not in counts}
                candidates.append(self._candidate(student_space, counts | recipe, network))
        return candidates

    def near(self, centers: Sequence[PoolCandidate], random: np.random.Generator, number: int) -> list[PoolCandidate]:
        """Draw up to `number` candidates that differ from one of the centers in one or two parameters."""
        candidates = []
        for index in random.integers(len(centers), size=number):
            student_space = centers[index].student_space
            parameters = [p for p in student_space.space.parameters if len(p.values) > 1]
            values = dict(centers[index].values)
            for which in random.integers(len(parameters), size=random.integers(1, 3)) if parameters else ():
                parameter = parameters[which]
                values[parameter.name] = _near(parameter, values[parameter.name], random)
            network = student_space.networks.get(student_space.counts(values))
            if network is not None and self._feasible.includes(student_space, network):
                candidates.append(self._candidate(student_space, values, network))
        return candidates

    def _candidate(self, student_space: StudentSpace, values: Values, network: Network) -> PoolCandidate:
        cost = self._feasible.cost(student_space, network)
        features = self._encoding.encode(student_space, values, network.flops)
        return PoolCandidate(student_space, values, network.flops, cost, features)


def _any(parameter: Parameter, random: np.random.Generator) -> Value:
    return parameter.values[int(random.integers(len(parameter.values)))]


def _near(parameter: Parameter, value: Value, random: np.random.Generator) -> Value:
    if isinstance(parameter.distribution, CategoricalDistribution):
        return _any(parameter, random)
    index = parameter.values.index(parameter.nearest(value)) + int(random.integers(-MAX_STEPS, MAX_STEPS + 1))
    return parameter.values[min(max(index, 0), len(parameter.values) - 1)]
