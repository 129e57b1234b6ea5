"""What a caller from Python may give: arguments are checked against the annotations of the function, at its door."""

from __future__ import annotations

import errno
import functools
import inspect
import numbers
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from autocompress.errors import InvalidInput, cut, shown

Given = ParamSpec("Given")
Returned = TypeVar("Returned")
WORDS = {str: "a text", Path: "a path", int: "a whole number", float: "a number", bool: "True or False"}


class _Module:
    """Stands for torch.nn.Module, without PyTorch, which takes seconds to import."""


# what annotations name, also where their module imports it for type checkers alone
_NAMES = {"Mapping": Mapping, "Path": Path, "Sequence": Sequence, "nn": types.SimpleNamespace(Module=_Module)}


def typed_arguments(call: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """The function itself, which raises InvalidInput where an argument is of another type than is annotated.

    TypeError, as ever, for a keyword that it does not have.
    """

    @functools.wraps(call)
    def checked(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        check_arguments(inspect.signature(call).bind(*args, **kwargs), call.__globals__)
        return call(*args, **kwargs)

    return checked


def check_arguments(bound: inspect.BoundArguments, names: Mapping[str, Any]) -> None:
    """Raise InvalidInput for an argument of another type than is annotated; `names` are those of the annotations.

    So is a path that no file of the system can have: whatever asks for one would raise OSError or ValueError. Networks,
    which may be modules, are left to those that read them.
    """
    for name, value in bound.arguments.items():
        parameter = bound.signature.parameters[name]
        kind = _evaluated(parameter.annotation, names)
        several = value if parameter.kind is inspect.Parameter.VAR_KEYWORD else {name: value}
        for each, one in several.items():
            if not _names_network(kind) and not _takes(kind, one):
                raise InvalidInput(f"{each} is {shown(one)}, but must be {_in_words(kind)}")
            if _takes_paths(kind):
                for path in one if isinstance(one, list | tuple) else [one]:
                    _check_path(each, path)


def _evaluated(annotation: Any, names: Mapping[str, Any]) -> Any:
    """An annotation, which may be the text of one."""
    return eval(annotation, {**names, **_NAMES}) if isinstance(annotation, str) else annotation


def _takes_paths(kind: Any) -> bool:
    """Whether a value of the kind may be a path, or have some."""
    return kind is Path or any(map(_takes_paths, typing.get_args(kind)))


def _check_path(name: str, path: object) -> None:
    if not isinstance(path, str | os.PathLike):
        return
    try:
        os.lstat(path)
    except ValueError as error:  # characters that the system has in no name
        reason = getattr(error, "reason", str(error))
        raise InvalidInput(f"{name} is {shown(path)}, which no file can be called ({reason}); give another") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidInput(f"{cut(str(path))}: {error.strerror}; give a shorter name") from error


def _names_network(kind: Any) -> bool:
    """Whether a module may be given in the place of a file: who makes a file of it says what is none."""
    return _Module in typing.get_args(kind)


def _takes(kind: Any, value: object) -> bool:
    """Whether this is a value of the kind; what is not known here takes anything."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return any(_takes(each, value) for each in inner)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if origin is Sequence:
        listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        return listed and all(_takes(inner[0], each) for each in typing.cast("Sequence[object]", value))
    if kind in (int, float):
        real = isinstance(value, numbers.Integral if kind is int else numbers.Real) and not isinstance(value, bool)
        return real and not (isinstance(value, int) and value.bit_length() > 1023)  # larger than any float
    if kind in (Any, inspect.Parameter.empty) or not isinstance(kind, type):  # a method's object is not annotated
        return True
    return isinstance(value, os.PathLike if kind is Path else kind)


def _in_words(kind: Any) -> str:
    """What a value must be: `a text, a path or None`."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        *first, last = dict.fromkeys(map(_in_words, inner))
        return f"{', '.join(first)} or {last}" if first else last
    if origin is Sequence:
        return f"a list of which each is {_in_words(inner[0])}"
    if origin is Mapping:
        return "a mapping with texts as keys"
    if kind is types.NoneType:
        return "None"
    return WORDS.get(kind, getattr(kind, "__name__", str(kind)))
