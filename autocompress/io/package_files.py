"""The files that ship with the package (teachers, search spaces, overrides); this module does not import torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Override:
    """A number of a network that no file of weights holds: a field of its config, which a user may give."""

    field: str
    help: str


@cache
def overrides(family: str = "*") -> tuple[Override, ...]:
    """What the family with this folder declares in its `overrides.json`, or all families together."""
    files = sorted((_PACKAGE / "networks").glob(f"{family}/overrides.json"))
    return tuple(Override(**declared) for file in files for declared in json.loads(file.read_text(encoding="utf-8")))


def teachers() -> dict[str, Path]:
    """The file of weights of each shipped teacher."""
    folder = _PACKAGE / "networks" / "teachers"
    return {path.stem: path.with_suffix(".safetensors") for path in sorted(folder.glob("*.json"))}


def spaces() -> dict[str, Path]:
    """The file of each shipped search space: inside an installed package, or at the top of a checkout."""
    installed = _PACKAGE / "search_spaces"
    folder = installed if installed.is_dir() else _PACKAGE.parent / "search_spaces"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem)}
