"""What the YAML file of a search space declares, before anybody asks whether its family can do that.

Nothing here imports torch, so that spaces are listed at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autocompress.errors import InvalidInput, SpaceError, cut
from autocompress.io import package_files
from autocompress.io.inputs import what_is
from autocompress.io.yaml_text import MOST_CHARACTERS, parse_yaml
from autocompress.search.space.parameter import Parameter, parse_parameter


@dataclass(frozen=True)
class DeclaredSpace:
    """The name of a family, what may vary as `specs` by name, and the values that the first trials take."""

    name: str
    family: str
    specs: Mapping[str, Any]
    defaults: Any

    @classmethod
    def of(cls, name: str, content: object) -> DeclaredSpace:
        """What YAML with this content declares; SpaceError names the key and the rule."""
        if not isinstance(content, dict):
            raise SpaceError("must be a mapping with `family` and `parameters`")
        for key in content:
            if key not in ("family", "parameters", "defaults"):
                raise SpaceError(f"{cut(key)} is not known; known here: family, parameters, defaults")
        if "family" not in content:
            from autocompress.networks import FAMILIES

            raise SpaceError(f"family is missing; known: {', '.join(FAMILIES)}")
        specs = content.get("parameters")
        if not isinstance(specs, dict) or not specs:
            raise SpaceError("parameters is missing or empty, but must name what may vary")
        return cls(name, cut(str(content["family"])), specs, content.get("defaults") or {})

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What may vary; SpaceError names the key and the rule."""
        return tuple(parse_parameter(key, spec) for key, spec in self.specs.items())

    @property
    def size(self) -> int:
        """The number of points."""
        return math.prod(len(parameter.values) for parameter in self.parameters)


def shipped_spaces() -> dict[str, Path]:
    """The spaces that come with the package, by name."""
    return package_files.spaces()


def read_space(name_or_file: str) -> tuple[Path, str]:
    """File and text of a shipped space by its name, or of the given file; SpaceError where there is no such text."""
    shipped = shipped_spaces()
    path = shipped.get(name_or_file, Path(name_or_file))
    if not path.is_file():
        raise SpaceError(
            f"{name_or_file}: {what_is(path)}, and no shipped search space of that name; shipped: {', '.join(shipped)}"
        )
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except UnicodeDecodeError as error:
        raise SpaceError(f"{path}: not readable as YAML: {error}") from error
    if len(text) > MOST_CHARACTERS:
        raise SpaceError(f"{path}: more than {MOST_CHARACTERS} characters; leave some out")
    return path, text


def declared_space(name_or_file: str) -> DeclaredSpace:
    """A shipped space by its name, or one from a YAML file; SpaceError names the file, the key and the rule."""
    path, text = read_space(name_or_file)
    try:
        return DeclaredSpace.of(path.stem, parse_yaml(text))
    except InvalidInput as error:
        raise SpaceError(f"{path}: {error}") from error
