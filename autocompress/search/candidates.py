"""From a study's parameters to what is trained, and which of it is the same."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from autocompress.distill.recipe import Recipe
from autocompress.errors import ConfigError
from autocompress.search.branches import Key
from autocompress.search.inputs import Task
from autocompress.search.space import Candidate, Values


class Candidates:
    """Those of a task."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def of(self, point: Values, ordinal: int) -> Candidate:
        """Trained with a seed of its own: `ordinal` is its place among all configs of the study."""
        settings = self._task.settings
        recipe = Recipe(steps=settings.steps, seed=settings.seed + ordinal)
        return self._task.branches.candidate(point, recipe)

    def key_of(self, point: Mapping[str, Any]) -> Key | None:
        """Of a trial's parameters; None where some are missing."""
        return self._task.branches.key(self.of(point, 0)) if self._task.branches.is_whole(point) else None

    def usable(self, point: Values, tried: Container[Key]) -> bool:
        """Whether there is such a network, within the budget and not tried."""
        try:
            candidate = self.of(point, 0)
        except ConfigError:
            return False
        allowed = self._task.settings.budget.allows(candidate.flops, candidate.params)
        return allowed and self._task.branches.key(candidate) not in tried
