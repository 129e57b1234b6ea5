"""Dataclasses that are read from files of ours: whether their fields hold what they are annotated with."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from autocompress.errors import AutocompressError, InvalidInput, RunError, cut, shown

MALFORMED = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
)  # what making a dataclass of any JSON raises
Record = TypeVar("Record")


@contextmanager
def reading(
    file: Path, what: str, remedy: str = "remove it or restore it", raises: type[InvalidInput] = RunError
) -> Iterator[None]:
    """A context in which a file of ours is read: one of another shape `raises` an error with `what` and the remedy."""
    try:
        yield
    except AutocompressError:  # it says all already
        raise
    except MALFORMED as error:
        reason = f"it has no {error.args[0]!r}" if isinstance(error, KeyError) and error.args else str(error)
        raise raises(f"{file}: {what} ({cut(reason or type(error).__name__)}); {remedy}") from error


def checked(record: Record) -> Record:
    """The dataclass itself; TypeError, with the field's name, where a field holds something else than is annotated.

    Numbers must be finite, and a whole number may stand for any number.
    """
    assert dataclasses.is_dataclass(record)
    made: type = type(record)
    for name, kind in _annotated(made):
        _check(getattr(record, name), kind, name)
    return record


@functools.cache
def _annotated(record: type) -> list[tuple[str, Any]]:
    """The names of a dataclass's fields, and what they hold: found once, as each text of an annotation is compiled."""
    annotations = typing.get_type_hints(record)
    return [(field.name, annotations[field.name]) for field in dataclasses.fields(record)]


def _check(value: Any, kind: Any, name: str) -> None:
    exactly = type(value) is kind  # as most are, which is told fast
    if not (exactly and (kind in (str, bool) or (kind in (int, float) and math.isfinite(value)))):
        _check_any(value, kind, name)


def _check_any(value: Any, kind: Any, name: str) -> None:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        inner = tuple(one for one in inner if (one is types.NoneType) == (value is None))
        if len(inner) == 1:
            _check(value, inner[0], name)
            return
        good = bool(inner)
    elif origin in (Mapping, dict):
        good = isinstance(value, Mapping)
        for key, one in value.items() if good else ():
            _check(key, inner[0], name)
            _check(one, inner[1], f"{name}.{key}")
    elif origin in (tuple, list):
        good = isinstance(value, origin)
        for one in value if good else ():
            _check(one, inner[0], name)
    elif dataclasses.is_dataclass(kind):
        good = isinstance(value, kind)  # type: ignore[arg-type]
        if good:
            checked(value)
    elif kind is float:
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    elif kind is int:
        good = isinstance(value, int) and not isinstance(value, bool) and math.isfinite(value)
    else:
        good = kind is Any or (value is None and kind is types.NoneType) or isinstance(value, kind)
    if not good:
        raise TypeError(f"{name} is {shown(value)}, which is no {getattr(kind, '__name__', kind)}")
