"""The files that ship with the package, by name, without a look into them."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def teachers() -> dict[str, Path]:
    """The weights of each teacher."""
    folder = _PACKAGE / "networks" / "teachers"
    return {path.stem: path.with_suffix(".safetensors") for path in sorted(folder.glob("*.json"))}


def spaces() -> dict[str, Path]:
    """Search spaces: beside the package's modules when installed, at the top of a checkout."""
    installed = _PACKAGE / "search_spaces"
    folder = installed if installed.is_dir() else _PACKAGE.parent / "search_spaces"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem)}
