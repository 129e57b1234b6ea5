"""What a search chooses among: one space, or several in one study, each with the teacher that its students come from.

Where there are several, a study's parameters are `space`, which says which, and those of that one under names such as
`swinir.embed_dim`; where there is one, they have their own names.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from autocompress.distill.recipe import Recipe
from autocompress.networks.base import Config, Family, SRNetwork
from autocompress.networks.weights import digest
from autocompress.search.space.parameter import Parameter, Value
from autocompress.search.space.search_space import Candidate, SearchSpace, Values

SPACE_PARAM = "space"  # the parameter that says which

Key = tuple[str, str, Config, Recipe]  # of teacher, target, student and training


@dataclass(frozen=True)
class StudentSpace:
    """A space without what its teacher hasn't, that teacher, and the network whose outputs its students learn from."""

    space: SearchSpace
    teacher_name: str
    teacher: SRNetwork
    target_name: str
    target: SRNetwork

    @property
    def name(self) -> str:
        """The space's."""
        return self.space.name

    @property
    def family(self) -> Family:
        """Of teacher and students."""
        return self.space.family

    @functools.cached_property
    def teacher_digest(self) -> str:
        """Of its config and weights."""
        return digest(self.teacher)

    @functools.cached_property
    def target_digest(self) -> str:
        """Of its config and weights."""
        return digest(self.target)


class JointSpace:
    """All branches of a search as one: what the parameters of an Optuna trial are, and what they stand for."""

    def __init__(self, branches: Iterable[StudentSpace]) -> None:
        self._by_name = {branch.name: branch for branch in branches}

    def __iter__(self) -> Iterator[StudentSpace]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> StudentSpace:
        return self._by_name[name]

    @property
    def scale(self) -> int:
        """Of all teachers and students."""
        return next(iter(self)).teacher.scale

    @property
    def which(self) -> CategoricalDistribution | None:
        """How it is sampled which branch a trial is of, where there are several."""
        return CategoricalDistribution(tuple(sorted(self._by_name))) if len(self._by_name) > 1 else None

    def parameters(self, branch: StudentSpace) -> dict[str, Parameter]:
        """Those of a branch, by their names in the study."""
        prefix = f"{branch.name}." if self.which else ""
        return {prefix + parameter.name: parameter for parameter in branch.space.parameters}

    def distributions(self) -> dict[str, BaseDistribution]:
        """Of all parameters that a trial may have."""
        found: dict[str, BaseDistribution] = {} if self.which is None else {SPACE_PARAM: self.which}
        for branch in self:
            found |= {name: parameter.distribution for name, parameter in self.parameters(branch).items()}
        return found

    def in_study(self, branch: StudentSpace, values: Values) -> Values:
        """A point of a branch as a study has it."""
        point = {name: values[parameter.name] for name, parameter in self.parameters(branch).items()}
        return point if self.which is None else {SPACE_PARAM: branch.name} | point

    def is_whole(self, point: Mapping[str, Any]) -> bool:
        """Whether a study's parameters are all that a trial needs."""
        branch = self._branch_of(point)
        return branch is not None and self.parameters(branch).keys() == point.keys() - {SPACE_PARAM}

    def split(self, point: Mapping[str, Any]) -> tuple[StudentSpace, Values]:
        """A study's point as its branch has it: the other way round than `in_study`."""
        branch = self._branch_of(point)
        assert branch is not None
        return branch, {parameter.name: point[name] for name, parameter in self.parameters(branch).items()}

    def candidate(self, point: Values, recipe: Recipe) -> Candidate:
        """What a study's parameters stand for; see `Space.candidate`."""
        branch, values = self.split(point)
        return branch.space.candidate(values, branch.teacher.config, recipe)

    def key(self, candidate: Candidate) -> Key:
        """The same for the same training but for its seed, in whatever space."""
        branch = self[candidate.space]
        return branch.teacher_digest, branch.target_digest, *candidate.key

    def suggest(self, trial: Trial) -> Values:
        """Ask a trial for all its parameters, as Optuna asks where which there are depends on others."""
        which: Values = {} if self.which is None else {SPACE_PARAM: _suggest(trial, SPACE_PARAM, self.which)}
        branch = self._branch_of(which)
        assert branch is not None
        own = {name: _suggest(trial, name, p.distribution) for name, p in self.parameters(branch).items()}
        return {**which, **own}

    def _branch_of(self, point: Mapping[str, Any]) -> StudentSpace | None:
        if self.which is None:
            return next(iter(self))
        return self._by_name.get(point.get(SPACE_PARAM, ""))


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Value:
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step)
    if isinstance(distribution, FloatDistribution):
        step, log = distribution.step, distribution.log
        return trial.suggest_float(name, distribution.low, distribution.high, step=step, log=log)
    assert isinstance(distribution, CategoricalDistribution)
    chosen: Value = trial.suggest_categorical(name, distribution.choices)  # type: ignore[assignment]
    return chosen
