"""Which candidates a search may try: the one place where that is decided."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from autocompress.distill.recipe import Recipe
from autocompress.errors import ConfigError, SpaceError
from autocompress.networks.base import Family
from autocompress.search.space.budget import Budget
from autocompress.search.space.cost import COUNTED, Costs
from autocompress.search.space.joint_space import JointSpace, Key, Network, StudentSpace
from autocompress.search.space.search_space import Candidate, Values
from autocompress.units import format_count

GUESS_MARGIN = 1.5  # times the latency budget: a network whose latency is guessed to be above is not measured

PLAIN = Recipe()  # stands in for a candidate's recipe where that does not matter


class FeasibleSet:
    """The points of a joint space whose network exists, is within the budget, and that were not tried before.

    FLOPs and parameters are counted. A latency is guessed where many networks are looked through (`includes` and
    `within`), and measured where one is about to be tried (`allows` and `fast_enough`).
    """

    def __init__(self, joint_space: JointSpace, budget: Budget, costs: Costs = COUNTED) -> None:
        self.joint_space = joint_space
        self.budget = budget
        self.costs = costs
        self._counted_budget = budget.without_latency()
        self._tried: set[Key] = set()

    def candidate(self, point: Values, recipe: Recipe = PLAIN) -> Candidate:
        """The candidate of a point, with its latency if that counts; raises as `JointSpace.candidate`."""
        candidate = self.joint_space.candidate(point, recipe)
        latency = self.costs.latency(self._family(candidate), candidate.config)
        return dataclasses.replace(candidate, latency=latency)

    def mark_tried(self, point: Mapping[str, Any]) -> bool:
        """Mark a point as tried; returns False, and marks nothing, if some of its parameters are missing."""
        whole = self.joint_space.is_whole(point)
        if whole:
            self._tried.add(self.joint_space.key(self.joint_space.candidate(point, PLAIN)))
        return whole

    def allows(self, point: Values) -> bool:
        """Whether a point may be tried: its network exists, is within the budget, and was not tried before."""
        try:
            candidate = self.joint_space.candidate(point, PLAIN)
        except ConfigError:
            return False
        counted = self._counted_budget.allows(candidate.flops, candidate.params)
        return counted and self.joint_space.key(candidate) not in self._tried and self._fast_enough(candidate)

    def fast_enough(self, point: Values) -> bool:
        """Whether a point's network is within the latency budget, which is measured unless a guess says enough."""
        return self._fast_enough(self.joint_space.candidate(point, PLAIN))

    def _fast_enough(self, candidate: Candidate) -> bool:
        if self.budget.latency is None:
            return True
        family = self._family(candidate)
        if self.costs.guess(family, candidate.config) > GUESS_MARGIN * self.budget.latency:
            return False
        latency = self.costs.latency(family, candidate.config)
        return latency is not None and latency <= self.budget.latency

    def cost(self, student_space: StudentSpace, network: Network) -> float:
        """What a network costs: its FLOPs, or its latency as measured or guessed."""
        return self.costs.guess(student_space.family, network.config)

    def includes(self, student_space: StudentSpace, network: Network) -> bool:
        """Whether a network is within the budget; its latency is guessed."""
        return self.budget.allows(network.flops, network.params, self.cost(student_space, network))

    def within(self, student_space: StudentSpace) -> list[Network]:
        """All networks of a space within the budget; latencies are guessed."""
        counted = self._within_counted_budget[student_space.name]
        if self.budget.latency is None:
            return counted
        return [network for network in counted if self.includes(student_space, network)]

    @functools.cached_property
    def _within_counted_budget(self) -> dict[str, list[Network]]:
        allows = self._counted_budget.allows
        return {
            student_space.name: [n for n in student_space.networks.values() if allows(n.flops, n.params)]
            for student_space in self.joint_space
        }

    def smallest(self, student_space: StudentSpace) -> Network:
        """The network of a space with the fewest FLOPs, within the budget or not; SpaceError where it has none."""
        if not student_space.networks:
            raise SpaceError(
                f"no network of the space {student_space.name} can be made of {student_space.teacher_name}; "
                "give another teacher or widen the space"
            )
        return min(student_space.networks.values(), key=lambda network: network.flops)

    def check(self, student_space: StudentSpace) -> None:
        """Raise SpaceError, naming the smallest network, where no network of a space is within the budget."""
        if self.within(student_space):
            return
        smallest = self.smallest(student_space)
        raise SpaceError(
            f"no network of the space {student_space.name} is within {self.budget}: the smallest "
            f"({student_space.shape(smallest)}) has {format_count(smallest.flops)} FLOPs and "
            f"{format_count(smallest.params)} parameters; raise the budget or widen the space"
        )

    def _family(self, candidate: Candidate) -> Family:
        return self.joint_space[candidate.space].family
