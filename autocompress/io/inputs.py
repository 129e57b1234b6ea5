"""What a user names and sets, read before anything that takes long to import; this module does not import torch."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from autocompress.errors import CheckpointError, ConfigError, InvalidInput, cut
from autocompress.io import package_files
from autocompress.io.yaml_text import parse_yaml
from autocompress.units import parse_number


def what_is(path: Path) -> str:
    """What there is at a path, for people."""
    if path.is_file():
        return "a file"
    if path.is_dir():
        return "a folder"
    return "no regular file" if path.exists() else "no such file"


def find_network(name_or_file: str) -> Path:
    """The file of weights of a shipped network by its name, or the file itself; CheckpointError where neither is."""
    shipped = package_files.network_file(name_or_file)
    if shipped is None and not Path(name_or_file).is_file():
        if Path(name_or_file).exists():
            raise CheckpointError(
                f"{name_or_file}: {what_is(Path(name_or_file))}, but a file of weights is needed; give one, "
                "of a run such as trials/0007/student.safetensors in it"
            )
        known = ", ".join(package_files.networks())
        raise CheckpointError(f"{name_or_file}: no such file, and no shipped network of that name; shipped: {known}")
    return shipped or Path(name_or_file)


def find_code(text: str) -> tuple[Path, str]:
    """File and callable of a user's own code, from `FILE.py:CALLABLE`; the file is not run. Raises InvalidInput."""
    file, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier():
        raise InvalidInput(f"{text!r} names no code; write FILE.py:CALLABLE, such as my_network.py:MyNetwork")
    if not Path(file).is_file():
        raise InvalidInput(f"{file}: {what_is(Path(file))}; give the Python file that defines {name}")
    return Path(file), name


def arguments_of(text: str) -> list[str] | None:
    """The names of the arguments that `FILE.py:CALLABLE` takes, as they are written there; the file is not run.

    None where that does not say them: it takes any, inherits them, is made by other code, or is no Python.
    """
    file, name = find_code(text)
    try:
        body = ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):  # what the parser raises
        return None
    found = [each for each in body if getattr(each, "name", None) == name]
    if len(found) == 1 and isinstance(found[0], ast.ClassDef) and not found[0].decorator_list:
        found = [each for each in found[0].body if getattr(each, "name", None) == "__init__"]
        given_itself = 1
    else:
        given_itself = 0
    if len(found) != 1 or not isinstance(found[0], ast.FunctionDef) or found[0].decorator_list:
        return None
    taken = found[0].args
    if taken.vararg is not None or taken.kwarg is not None:
        return None
    return [each.arg for each in [*taken.posonlyargs, *taken.args][given_itself:] + taken.kwonlyargs]


def parse_fields(changes: Iterable[str]) -> dict[str, Any]:
    """Fields of a config from texts such as `num_feat=16` or `depths=[6, 6]`; raises ConfigError."""
    values = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise ConfigError(f"{change!r} sets nothing; write a field and its value, such as num_feat=16")
        try:
            values[name] = _number(parse_yaml(text))
        except InvalidInput as error:
            raise ConfigError(f"{cut(change)}: must be a number, a word or a list such as [6, 6] ({error})") from None
    return values


def _number(value: Any) -> Any:
    """What YAML takes for a word though anyone else reads a number: 1e-3. InvalidInput for nan, inf and 1e400."""
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        return value
    return parse_number(value) if isinstance(value, str) else number
