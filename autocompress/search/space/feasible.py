"""From a study's parameters to what is trained, and which of it is the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping
from typing import Any

from autocompress.distill.recipe import Recipe
from autocompress.errors import ConfigError
from autocompress.search.space.cost import Costs
from autocompress.search.space.joint_space import Key
from autocompress.search.space.search_space import Candidate, Values
from autocompress.search.task import Task

SURELY = 1.5  # times the budget: a network whose latency is guessed to be above is not measured


class FeasibleSet:
    """Those of a task, at these costs."""

    def __init__(self, task: Task, costs: Costs) -> None:
        self.task = task
        self.costs = costs

    def of(self, point: Values, ordinal: int) -> Candidate:
        """Trained with a seed of its own: `ordinal` is its place among all configs of the study."""
        candidate = self._uncosted(point, ordinal)
        family = self.task.joint_space[candidate.space].family
        return dataclasses.replace(candidate, latency=self.costs.latency(family, candidate.config))

    def _uncosted(self, point: Values, ordinal: int) -> Candidate:
        settings = self.task.settings
        recipe = Recipe(steps=settings.steps, seed=settings.seed + ordinal)
        return self.task.joint_space.candidate(point, recipe)

    def key_of(self, point: Mapping[str, Any]) -> Key | None:
        """Of a trial's parameters; None where some are missing."""
        return self.task.joint_space.key(self._uncosted(point, 0)) if self.task.joint_space.is_whole(point) else None

    def usable(self, point: Values, tried: Container[Key]) -> bool:
        """Whether there is such a network, within the budget and not tried."""
        try:
            candidate = self._uncosted(point, 0)
        except ConfigError:
            return False
        allowed = self.task.settings.budget.without_latency().allows(candidate.flops, candidate.params)
        return allowed and self.task.joint_space.key(candidate) not in tried and self._fast_enough(candidate)

    def _fast_enough(self, candidate: Candidate) -> bool:
        """As measured, unless a guess says enough."""
        family, limit = self.task.joint_space[candidate.space].family, self.task.settings.budget.latency
        if limit is None:
            return True
        if self.costs.guess(family, candidate.config) > SURELY * limit:
            return False
        latency = self.costs.latency(family, candidate.config)
        return latency is not None and latency <= limit
