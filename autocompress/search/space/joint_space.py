"""What a search chooses among: one space, or several in one study, each with the teacher that its students come from.

Where there are several, a study's parameters are `space`, which says which, and those of that one under names such as
`swinir.embed_dim`; where there is one, they have their own names.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from autocompress.distill.recipe import Recipe
from autocompress.networks import family_of
from autocompress.networks.base import Config, Family, SRNetwork
from autocompress.networks.weights import digest
from autocompress.progress import OnDone, untold
from autocompress.search.space.parameter import Parameter, Value
from autocompress.search.space.search_space import Candidate, SearchSpace, Values

SPACE_PARAM = "space"  # the study's parameter with the name of a trial's search space

Key = tuple[str, str, Config, Recipe]  # of teacher, target, student and training
Counts = tuple[Value, ...]  # of a network: the values of its space's `counts`


@dataclass(frozen=True)
class Network:
    """A network of a search space: its point, with the space's defaults for the training, and its costs."""

    values: Values
    config: Config
    flops: int
    params: int


@dataclass(frozen=True)
class StudentSpace:
    """A search space capped to its teacher, that teacher, and the target: whose outputs students learn from."""

    space: SearchSpace
    teacher_name: str
    teacher: SRNetwork
    target_name: str
    target: SRNetwork
    _networks: dict[Counts, Network] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The search space's."""
        return self.space.name

    @property
    def family(self) -> Family:
        """The family of the students, and mostly of the teacher."""
        return self.space.family

    @property
    def teacher_family(self) -> Family:
        """The teacher's."""
        return self.family if self.teacher.family == self.family.name else family_of(self.teacher)

    @functools.cached_property
    def teacher_digest(self) -> str:
        """Of its config and weights."""
        return digest(self.teacher)

    @functools.cached_property
    def target_digest(self) -> str:
        """Of its config and weights."""
        return digest(self.target)

    def counts(self, values: Values) -> Counts:
        """The values of a point that its network depends on."""
        return tuple(values[parameter.name] for parameter in self.space.counts)

    def shape(self, network: Network) -> str:
        """The counts and choices of a network for people, such as `num_feat 8, num_block 2`."""
        fields = [field for field in self.family.varied if field in network.values]
        return ", ".join(f"{field} {network.values[field]}" for field in fields)

    @property
    def networks(self) -> Mapping[Counts, Network]:
        """Every network of the space that can be made of the teacher."""
        return self.count_networks()

    def count_networks(self, report: OnDone = untold) -> Mapping[Counts, Network]:
        """`networks`; `report` is told how far it is to count them, once, which takes long of a user's code."""
        if not self._networks:
            family, sizes = self.family, self.space.sizes(self.teacher.config, report)
            found = (Network(values, config, family.flops(config), family.params(config)) for values, config in sizes)
            self._networks.update({self.counts(network.values): network for network in found})
        return self._networks


class JointSpace:
    """All student spaces of a search as one: what the parameters of an Optuna trial are, and what they stand for.

    A *point* is a mapping of all parameters of a trial, by their names in the study, to their values.
    """

    def __init__(self, student_spaces: Iterable[StudentSpace]) -> None:
        self._by_name = {student_space.name: student_space for student_space in student_spaces}

    def __iter__(self) -> Iterator[StudentSpace]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __getitem__(self, name: str) -> StudentSpace:
        return self._by_name[name]

    def of_student(self, name: str | None) -> StudentSpace:
        """The space with the name that a student has recorded; the only one, for students of the first versions."""
        return next(iter(self)) if name is None else self._by_name[name]

    @property
    def scale(self) -> int:
        """The scale of all teachers and students."""
        return next(iter(self)).teacher.scale

    @property
    def which(self) -> CategoricalDistribution | None:
        """The distribution of SPACE_PARAM; None where there is one space, and so no such parameter."""
        return CategoricalDistribution(tuple(sorted(self._by_name))) if len(self) > 1 else None

    def parameters(self, student_space: StudentSpace) -> dict[str, Parameter]:
        """The parameters of one space, by their names in the study."""
        prefix = f"{student_space.name}." if self.which else ""
        return {prefix + parameter.name: parameter for parameter in student_space.space.parameters}

    def distributions(self) -> dict[str, BaseDistribution]:
        """The distributions of all parameters that a trial may have."""
        distributions: dict[str, BaseDistribution] = {} if self.which is None else {SPACE_PARAM: self.which}
        for student_space in self:
            parameters = self.parameters(student_space)
            distributions |= {name: parameter.distribution for name, parameter in parameters.items()}
        return distributions

    def in_study(self, student_space: StudentSpace, values: Values) -> Values:
        """The point that has these values of a student space."""
        point = {name: values[parameter.name] for name, parameter in self.parameters(student_space).items()}
        return point if self.which is None else {SPACE_PARAM: student_space.name} | point

    def split(self, point: Mapping[str, Any]) -> tuple[StudentSpace, Values]:
        """A point's student space, and its values there: the inverse of `in_study`."""
        student_space = self._space_of(point)
        assert student_space is not None
        parameters = self.parameters(student_space)
        return student_space, {parameter.name: point[name] for name, parameter in parameters.items()}

    def is_whole(self, point: Mapping[str, Any]) -> bool:
        """Whether a study's parameters are all that a trial needs."""
        student_space = self._space_of(point)
        return student_space is not None and self.parameters(student_space).keys() == point.keys() - {SPACE_PARAM}

    def candidate(self, point: Values, recipe: Recipe) -> Candidate:
        """The candidate of a point: its network, and `recipe` with the point's values.

        Raises ConfigError where the family has no such network, or none for this teacher.
        """
        student_space, values = self.split(point)
        return student_space.space.candidate(values, student_space.teacher.config, recipe)

    def key(self, candidate: Candidate) -> Key:
        """A key that is equal for two candidates, of any spaces, if their trainings differ in the seed alone."""
        student_space = self[candidate.space]
        return student_space.teacher_digest, student_space.target_digest, *candidate.key

    def suggest(self, trial: Trial) -> Values:
        """Ask a trial for all its parameters: first for its space, on which the others depend."""
        which: Values = {} if self.which is None else {SPACE_PARAM: _suggest(trial, SPACE_PARAM, self.which)}
        student_space = self._space_of(which)
        assert student_space is not None
        parameters = self.parameters(student_space)
        return {**which, **{name: _suggest(trial, name, p.distribution) for name, p in parameters.items()}}

    def _space_of(self, point: Mapping[str, Any]) -> StudentSpace | None:
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
    choice: Value = trial.suggest_categorical(name, distribution.choices)  # type: ignore[assignment]
    return choice
