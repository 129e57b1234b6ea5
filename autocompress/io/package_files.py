"""The files that ship with the package: networks, search spaces, overrides, presets. Nothing here imports torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from autocompress.errors import InvalidInput
from autocompress.io.yaml_text import parse_yaml

DEFAULT_MODEL = "edsr-x2-10g"  # what upscales where no network is named
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


@cache
def presets(family: str = "*") -> dict[str, dict[str, Any]]:
    """The fields of each config that the family with this folder names in its `presets.json`, or all families."""
    files = sorted((_PACKAGE / "networks").glob(f"{family}/presets.json"))
    return {name: fields for file in files for name, fields in json.loads(file.read_text(encoding="utf-8")).items()}


def families() -> set[str]:
    """The families of the networks and of the search spaces that ship."""
    of_spaces = (parse_yaml(file.read_text(encoding="utf-8"))["family"] for file in spaces().values())
    of_networks = (json.loads(file.with_suffix(".json").read_text(encoding="utf-8")) for file in networks().values())
    return {*of_spaces, *(about["family"] for about in of_networks)}


def parameters(family: str) -> list[str]:
    """The names of what varies in the search spaces that ship for a family."""
    declared = [parse_yaml(file.read_text(encoding="utf-8")) for file in spaces().values()]
    return list(dict.fromkeys(name for each in declared if each["family"] == family for name in each["parameters"]))


def teachers() -> dict[str, Path]:
    """The file of weights of each shipped teacher."""
    return _weights("teachers")


def models() -> dict[str, Path]:
    """The file of weights of each shipped student."""
    return _weights("models")


def networks() -> dict[str, Path]:
    """The file of weights of each shipped network: teachers, then students."""
    return teachers() | models()


def network_file(name: str) -> Path | None:
    """The file of the shipped network of this name; None for any other text.

    Raises InvalidInput where a file or a run in the current folder has that name, too: neither wins.
    """
    file, here = networks().get(name), Path(name)
    if file is not None and (here.is_file() or (here / "config.json").is_file()):
        raise InvalidInput(
            f"{name}: both a network that ships with autocompress and a file or run here; write ./{name} for that, or "
            "rename it for the other"
        )
    return file


def _weights(room: str) -> dict[str, Path]:
    """The files of weights that have a JSON side file, by name."""
    folder = _PACKAGE / "networks" / room
    return {path.stem: path.with_suffix(".safetensors") for path in sorted(folder.glob("*.json"))}


def spaces() -> dict[str, Path]:
    """The file of each shipped search space: inside an installed package, or at the top of a checkout."""
    installed = _PACKAGE / "search_spaces"
    folder = installed if installed.is_dir() else _PACKAGE.parent / "search_spaces"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem)}
