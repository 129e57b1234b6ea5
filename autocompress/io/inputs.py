"""What a user names and sets, read before anything that takes long to import; this module does not import torch."""

from __future__ import annotations

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
