"""How arguments of a user's code become smaller: each way has one number, which a search varies.

A whole number itself, a ratio, the one value that a list repeats, an entry of a short list, or the length of lists.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

MOST_VALUES = 16  # of one number, in a space that is derived
FEWEST_RATIOS = 6  # steps up to a ratio
MOST_ENTRIES = 4  # of a list whose entries vary each by itself

Arguments = Mapping[str, Any]


class Variation(ABC):
    """One number that says how much smaller some arguments are; `field` is what a search calls it."""

    field: str

    @abstractmethod
    def number(self, arguments: Arguments) -> Any:
        """Of these arguments."""

    @abstractmethod
    def changed(self, arguments: Arguments, number: Any) -> dict[str, Any]:
        """Those of the arguments that are other ones for another number."""

    def candidates(self, arguments: Arguments) -> Sequence[Any]:
        """Smaller numbers."""
        return candidates(self.number(arguments))


@dataclass(frozen=True)
class Number(Variation):
    """An argument that is a whole number: `num_feat=64`."""

    field: str

    @override
    def number(self, arguments: Arguments) -> int:
        return int(arguments[self.field])

    @override
    def changed(self, arguments: Arguments, number: Any) -> dict[str, Any]:
        return {self.field: number}


@dataclass(frozen=True)
class Ratio(Variation):
    """An argument that channels are multiplied by: `mlp_ratio=2.0`."""

    field: str

    @override
    def number(self, arguments: Arguments) -> float:
        return float(arguments[self.field])

    @override
    def changed(self, arguments: Arguments, number: Any) -> dict[str, Any]:
        return {self.field: float(number)}

    @override
    def candidates(self, arguments: Arguments) -> Sequence[float]:
        value = self.number(arguments)
        step = 2.0**10
        while value / step < FEWEST_RATIOS:
            step /= 2
        return [step * count for count in range(1, MOST_VALUES * 2) if step * count < value]


@dataclass(frozen=True)
class Repeated(Variation):
    """An argument that is a list of one value: `depths=[6, 6, 6, 6]` is 6."""

    field: str

    @override
    def number(self, arguments: Arguments) -> Any:
        return arguments[self.field][0]

    @override
    def changed(self, arguments: Arguments, number: Any) -> dict[str, Any]:
        return {self.field: [number] * len(arguments[self.field])}


@dataclass(frozen=True)
class Entry(Variation):
    """An entry of an argument that is a short list: `channels.0` of `channels=[16, 48]` is 16."""

    argument: str
    index: int

    @property
    def field(self) -> str:  # type: ignore[override]
        """The argument's name and the entry's index."""
        return f"{self.argument}.{self.index}"

    @override
    def number(self, arguments: Arguments) -> Any:
        return arguments[self.argument][self.index]

    @override
    def changed(self, arguments: Arguments, number: Any) -> dict[str, Any]:
        entries = list(arguments[self.argument])
        entries[self.index] = number
        return {self.argument: entries}


@dataclass(frozen=True)
class Length(Variation):
    """How long all lists of one length are: `depths.length` of `depths=[6, 6, 6, 6]` and `num_heads=[6, 6, 6, 6]`."""

    arguments: tuple[str, ...]

    @property
    def field(self) -> str:  # type: ignore[override]
        """That of the first of them."""
        return f"{self.arguments[0]}.length"

    @override
    def number(self, arguments: Arguments) -> int:
        return len(arguments[self.arguments[0]])

    @override
    def changed(self, arguments: Arguments, number: Any) -> dict[str, Any]:
        return {name: list(arguments[name])[:number] for name in self.arguments}


def variations(arguments: Arguments) -> list[Variation]:
    """What may vary among arguments, if the code takes it."""
    found: list[Variation] = []
    lengths: dict[int, list[str]] = {}
    for name, value in arguments.items():
        if isinstance(value, list | tuple) and len(value) > 1 and all(map(_is_number, value)):
            lengths.setdefault(len(value), []).append(name)
            if len(set(value)) == 1:
                found += [Repeated(name)] if _is_whole(value[0]) else []
            elif len(value) <= MOST_ENTRIES:
                found += [Entry(name, index) for index, entry in enumerate(value) if _is_whole(entry)]
        elif isinstance(value, list | tuple) and len(value) == 1 and _is_whole(value[0]):
            found.append(Repeated(name))
        elif _is_whole(value):
            found.append(Number(name))
        elif isinstance(value, float) and value > 0:
            found.append(Ratio(name))
    return found + [Length(tuple(names)) for names in lengths.values()]


def changed(arguments: Arguments, numbers: Mapping[str, Any], known: Mapping[str, Variation]) -> dict[str, Any]:
    """The arguments with other numbers, by their field."""
    made = dict(arguments)
    for field, number in numbers.items():
        made |= known[field].changed(made, number)
    return made


def candidates(value: int) -> list[int]:
    """Smaller values, evenly, in steps that are easy to read."""
    step = next(step for step in (1, 2, 4, 8, 16, 32, 64, 128, value) if value // step <= MOST_VALUES)
    return list(range(step, value, step))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 1
