"""Search spaces: a YAML file that names a family, what may vary in its config, and how students are trained."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from autocompress.distill import VARIABLE
from autocompress.distill.recipe import Recipe
from autocompress.errors import ConfigError, InvalidInput, SpaceError, cut, shown
from autocompress.io.yaml_text import parse_yaml
from autocompress.networks import find_family
from autocompress.networks.base import Config, Family
from autocompress.progress import OnDone, untold, watched
from autocompress.search.space.declared import DeclaredSpace, read_space
from autocompress.search.space.parameter import Parameter, Value, capped

Values = Mapping[str, Value]

MOST_NETWORKS = 1_000_000  # of a space, all of which are counted before a search
LONGEST_NAME = 60  # characters of an unknown name for which a close one is looked for


@dataclass(frozen=True)
class Candidate:
    """One point of a space: the student's config, how it is trained, and what it costs."""

    space: str
    values: Values
    config: Config
    recipe: Recipe
    flops: int
    params: int
    latency: float | None = None  # milliseconds, where they are what counts

    @property
    def cost(self) -> float:
        """The cost that PSNR is weighed against: the latency if it is measured, else FLOPs."""
        return self.flops if self.latency is None else self.latency

    @property
    def key(self) -> tuple[Config, Recipe]:
        """A key that is equal for two points if their trainings differ in the seed alone.

        The teacher's loss is left out if the teacher's share is 0.
        """
        recipe = dataclasses.replace(self.recipe, seed=0)
        return self.config, recipe if recipe.teacher_share else dataclasses.replace(recipe, teacher_loss="l1")


@dataclass(frozen=True)
class SearchSpace:
    """What a search may vary. `defaults` are the values that the first trials take beside the counts."""

    name: str
    family: Family
    parameters: tuple[Parameter, ...]
    defaults: Values

    @property
    def counts(self) -> list[Parameter]:
        """The parameters that a network's size depends on; the others say how it is trained."""
        return [parameter for parameter in self.parameters if parameter.name not in VARIABLE]

    def for_teacher(self, teacher: Config) -> SearchSpace:
        """The same space without counts above their limits, which are mostly the teacher's own."""
        limits = self.family.limits(teacher)
        return dataclasses.replace(
            self,
            parameters=tuple(
                capped(parameter, limits[parameter.name]) if parameter.name in limits else parameter
                for parameter in self.parameters
            ),
        )

    def candidate(self, values: Values, teacher: Config, recipe: Recipe) -> Candidate:
        """The candidate with these values; the rest of its training is as in `recipe`.

        Raises ConfigError where the family has no such network: its counts may depend on each other.
        """
        fields = {name: value for name, value in values.items() if name not in VARIABLE}
        training: dict[str, Any] = {name: value for name, value in values.items() if name in VARIABLE}
        config = self.family.student_config(teacher, fields)
        params = self.family.params(config)
        recipe = dataclasses.replace(recipe, **training).of_student(params)
        return Candidate(self.name, values, config, recipe, self.family.flops(config), params)

    def sizes(self, teacher: Config, report: OnDone = untold) -> Iterator[tuple[Values, Config]]:
        """Every network of the space, with the defaults for the parameters that its size does not depend on.

        `report` is told how many were looked at, among them those that cannot be made of the teacher.
        """
        names = [parameter.name for parameter in self.counts]
        combinations = itertools.product(*(parameter.values for parameter in self.counts))
        total = math.prod(len(parameter.values) for parameter in self.counts)
        for combination in watched(combinations, total, report):
            fields = dict(zip(names, combination, strict=True))
            with suppress(ConfigError):
                yield {**fields, **self.rest}, self.family.student_config(teacher, fields)

    def nearest(self, config: Config) -> Values:
        """The point whose counts are nearest to this config's, with the defaults for the other parameters."""
        values = {**self.family.fields_of(config), **self.rest}
        return {parameter.name: parameter.nearest(values[parameter.name]) for parameter in self.parameters}

    @property
    def rest(self) -> Values:
        """The defaults of the parameters that a network's size does not depend on, as the first trials have them."""
        return {p.name: self.defaults.get(p.name, p.values[0]) for p in self.parameters if p.name in VARIABLE}

    @property
    def size(self) -> int:
        """The number of points."""
        return math.prod(len(parameter.values) for parameter in self.parameters)

    def to_dict(self) -> dict[str, Any]:
        """The family, parameters and defaults as plain JSON types: equal spaces have equal ones."""
        return {
            "family": self.family.name,
            "parameters": {parameter.name: list(parameter.values) for parameter in self.parameters},
            "defaults": dict(self.defaults),
        }


def load_space(name_or_file: str, families: Sequence[Family] = ()) -> SearchSpace:
    """A shipped space by its name, or one from a YAML file; SpaceError names the file, the key and the rule.

    `families` are those of its teachers, which go before others of the same names.
    """
    path, text = read_space(name_or_file)
    try:
        return parse_space(path.stem, parse_yaml(text), families)
    except InvalidInput as error:
        raise SpaceError(f"{path}: {error}") from error


def parse_space(name: str, content: object, families: Sequence[Family] = ()) -> SearchSpace:
    """The space that YAML with this content stands for; SpaceError names the key and the rule. See `load_space`."""
    declared = DeclaredSpace.of(name, content)
    own = (family for family in families if family.name == declared.family)
    family = next(own, None) or find_family(declared.family)
    _check_names(family, declared.specs)
    parameters = declared.parameters
    for parameter in parameters:
        _check_values(family, parameter)
    networks = math.prod(len(parameter.values) for parameter in parameters if parameter.name not in VARIABLE)
    if networks > MOST_NETWORKS:
        raise SpaceError(f"{networks} networks, but at most {MOST_NETWORKS} can be looked through; widen some steps")
    _check_defaults(declared.defaults, parameters)
    return SearchSpace(name, family, parameters, declared.defaults)


def _check_names(family: Family, specs: Mapping[str, object]) -> None:
    allowed = [*family.varied, *VARIABLE]
    for key in specs:
        if key not in allowed:
            close = difflib.get_close_matches(key[:LONGEST_NAME], allowed, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise SpaceError(
                f"parameters.{cut(key)} is nothing that {family.name} can vary{hint}; it can: {', '.join(allowed)}"
            )
    for count in family.counts:
        if count.field not in specs and not count.optional:
            raise SpaceError(f"parameters.{count.field} is missing; give it a range, or one value to keep it fixed")


def _check_values(family: Family, parameter: Parameter) -> None:
    for count in family.counts:
        if parameter.name == count.field:
            high = math.inf if count.high is None else count.high
            for value in parameter.values:
                number = isinstance(value, int if count.whole else int | float) and not isinstance(value, bool)
                if not number or not count.low <= value <= high:  # type: ignore[operator]
                    what = "whole numbers" if count.whole else "numbers"
                    rule = f">= {count.low}" if count.high is None else f"from {count.low} to {count.high}"
                    raise SpaceError(
                        f"parameters.{parameter.name} has the value {shown(value)}, but must be {what} {rule}"
                    )
            return
    for choice in family.choices:
        if parameter.name == choice.field:
            for value in parameter.values:
                if value not in choice.words:
                    words = " or ".join(choice.words)
                    raise SpaceError(f"parameters.{parameter.name} has the value {value!r}, but must be {words}")
            return
    for value in parameter.values:
        try:
            Recipe(**{parameter.name: value})  # type: ignore[arg-type]
        except TypeError as error:
            raise SpaceError(
                f"parameters.{parameter.name} has the value {shown(value)} of a wrong type; give a number"
            ) from error


def _check_defaults(defaults: object, parameters: tuple[Parameter, ...]) -> None:
    if not isinstance(defaults, dict):
        raise SpaceError(f"defaults is {shown(defaults)}, but must be a mapping")
    by_name = {parameter.name: parameter for parameter in parameters}
    for key, value in defaults.items():
        if key not in by_name:
            raise SpaceError(f"defaults.{cut(key)} is no parameter of this space; leave it out")
        if value not in by_name[key].values:
            values = cut(", ".join(map(str, by_name[key].values)), 200)
            raise SpaceError(f"defaults.{key} is {shown(value)}, but its values are {values}")
