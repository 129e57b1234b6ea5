"""The parameters of a search space: each a finite list of values, and an Optuna distribution around it.

Floats are quantised too (in even steps, or even steps of the logarithm), so that two configs are either
the same or different, and a space can be counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cached_property
from typing import TYPE_CHECKING, Any

from autocompress.errors import SpaceError, cut, shown

if TYPE_CHECKING:  # spaces are listed without it
    from optuna.distributions import BaseDistribution

Value = int | float | str | bool

WIDEST = 1e100  # of a range in the logarithm: high over low
MAX_VALUES = 10_000  # of one parameter: more are a typing error, and would fill the memory


class Scale(Enum):
    """How the values of a parameter are spaced: whole numbers or floats evenly, floats in the logarithm, or not."""

    WHOLE = auto()
    EVEN = auto()
    LOG = auto()
    CHOICES = auto()


@dataclass(frozen=True)
class Parameter:
    """A name, the values it may take in order, and how they are spaced; `step` is that of even floats."""

    name: str
    values: tuple[Value, ...]
    scale: Scale
    step: float | None = None

    @cached_property
    def distribution(self) -> BaseDistribution:
        """How Optuna samples it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.scale is Scale.CHOICES:
            return CategoricalDistribution(self.values)
        low, high = self.values[0], self.values[-1]
        if self.scale is Scale.WHOLE:
            step = int(self.values[1]) - int(low) if len(self.values) > 1 else 1
            return IntDistribution(int(low), int(high), step=step)
        return FloatDistribution(float(low), float(high), log=self.scale is Scale.LOG, step=self.step)

    def nearest(self, value: Value) -> Value:
        """The value of the grid that is nearest to any value (in the logarithm, where the distribution is log)."""
        if value in self.values or isinstance(value, str) or isinstance(self.values[0], str):
            return value if value in self.values else self.values[0]
        scale = math.log if self.scale is Scale.LOG else float
        return min(self.values, key=lambda candidate: abs(scale(candidate) - scale(value)))  # type: ignore[arg-type]


def capped(parameter: Parameter, high: float) -> Parameter:
    """A parameter of numbers without the values above `high`; SpaceError where none is left."""
    values = tuple(value for value in parameter.values if float(value) <= high)
    if not values:
        raise SpaceError(
            f"{parameter.name} is at least {min(map(float, parameter.values)):g} in this space, "
            f"but the teacher has {high:g}"
        )
    return replace(parameter, values=values)


def parse_parameter(name: str, spec: object) -> Parameter:
    """From the YAML: a mapping with `type`, or a bare value for a constant.

    `{type: int, low, high, step: 1}`, `{type: float, low, high, step}`, `{type: float, low, high, log: true, num}`,
    `{type: categorical, choices}`. Raises SpaceError naming the key and the rule.
    """
    if isinstance(spec, int | float | str | bool):
        return Parameter(name, (spec,), Scale.CHOICES)
    if not isinstance(spec, dict):
        raise SpaceError(f"parameters.{name} is {shown(spec)}, but must be a mapping with `type`, or a constant")
    kind = spec.get("type")
    parsers = {"int": _parse_int, "float": _parse_float, "categorical": _parse_categorical}
    if not isinstance(kind, str) or kind not in parsers:
        raise SpaceError(f"parameters.{name}.type is {shown(kind)}, but must be one of {', '.join(parsers)}")
    return parsers[kind](name, {key: value for key, value in spec.items() if key != "type"})


def _parse_int(name: str, spec: Mapping[str, Any]) -> Parameter:
    _check_keys(name, spec, required=("low", "high"), optional=("step",))
    low, high, step = (_number(name, key, spec.get(key, 1), int) for key in ("low", "high", "step"))
    if step < 1:
        raise SpaceError(f"parameters.{name}.step is {step}, but must be >= 1")
    _check_order(name, low, high)
    _check_number_of_values(name, (high - low) // step + 1)
    values = tuple(range(int(low), int(high) + 1, int(step)))
    return Parameter(name, values, Scale.WHOLE)


def _parse_float(name: str, spec: Mapping[str, Any]) -> Parameter:
    log = spec.get("log", False)
    if not isinstance(log, bool):
        raise SpaceError(f"parameters.{name}.log is {shown(log)}, but must be true or false")
    _check_keys(name, spec, required=("low", "high", "num" if log else "step"), optional=("log",))
    low, high = (_number(name, key, spec[key], float) for key in ("low", "high"))
    _check_order(name, low, high)
    if not log:
        step = _number(name, "step", spec["step"], float)
        if step <= 0:
            raise SpaceError(f"parameters.{name}.step is {step:g}, but must be > 0")
        _check_number_of_values(name, (high - low) / step + 1)
        count = math.floor((high - low) / step + 1e-9) + 1
        values = tuple(round(low + index * step, 12) for index in range(count))
        return Parameter(name, values, Scale.EVEN, step)
    if low <= 0:
        raise SpaceError(f"parameters.{name}.low is {low:g}, but must be > 0 where log is true")
    num = int(_number(name, "num", spec["num"], int))
    if num < 2:
        raise SpaceError(f"parameters.{name}.num is {num}, but must be >= 2 values from low to high")
    _check_number_of_values(name, num)
    if high / low > WIDEST:
        raise SpaceError(f"parameters.{name}.high is {high:g}, but must be at most {WIDEST:g} times low, {low:g}")
    ratio = (math.log(high) - math.log(low)) / (num - 1)
    values = tuple(float(f"{low * math.exp(index * ratio):.6g}") for index in range(num))
    return Parameter(name, values, Scale.LOG)


def _parse_categorical(name: str, spec: Mapping[str, Any]) -> Parameter:
    _check_keys(name, spec, required=("choices",), optional=())
    choices = spec["choices"]
    plain = isinstance(choices, list) and all(isinstance(choice, int | float | str) for choice in choices)
    if not plain or not choices or len(set(map(str, choices))) != len(choices):
        raise SpaceError(f"parameters.{name}.choices is {shown(choices)}, but must be a list of different values")
    _check_number_of_values(name, len(choices))
    return Parameter(name, tuple(choices), Scale.CHOICES)


def _check_keys(name: str, spec: Mapping[str, Any], required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    for key in required:
        if key not in spec:
            raise SpaceError(f"parameters.{name}.{key} is missing; add it")
    for key in spec:
        if key not in required + optional:
            keys = ", ".join(("type", *required, *optional))
            raise SpaceError(f"parameters.{name}.{cut(key)} is not known; known here: {keys}")


def _number(name: str, key: str, value: object, kind: type[int] | type[float]) -> float:
    good = isinstance(value, int) if kind is int else isinstance(value, int | float)
    if isinstance(value, bool) or not good or not math.isfinite(value):  # type: ignore[arg-type]
        what = "a whole number" if kind is int else "a number (YAML needs the dot in 1.0e-3)"
        raise SpaceError(f"parameters.{name}.{key} is {shown(value)}, but must be {what}")
    assert isinstance(value, int | float)
    return value


def _check_number_of_values(name: str, number: float) -> None:
    if number > MAX_VALUES:
        raise SpaceError(
            f"parameters.{name} has {number:.15g} values, but may have at most {MAX_VALUES}; widen its steps"
        )


def _check_order(name: str, low: float, high: float) -> None:
    if low > high:
        raise SpaceError(f"parameters.{name}.low is {low:g}, but must be <= high, which is {high:g}")
