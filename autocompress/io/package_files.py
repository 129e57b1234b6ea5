"""Paths of the files that ship with the package (teachers, search spaces), by name; nothing is opened."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def teachers() -> dict[str, Path]:
    """The file of weights of each shipped teacher."""
    folder = _PACKAGE / "networks" / "teachers"
    return {path.stem: path.with_suffix(".safetensors") for path in sorted(folder.glob("*.json"))}


def spaces() -> dict[str, Path]:
    """The file of each shipped search space: inside an installed package, or at the top of a checkout."""
    installed = _PACKAGE / "search_spaces"
    folder = installed if installed.is_dir() else _PACKAGE.parent / "search_spaces"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem)}
