"""Whether what a call names is there: said at once, before PyTorch and others are imported, which takes seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autocompress.distill import SETTABLE
from autocompress.errors import ConfigError, InvalidInput
from autocompress.io import package_files
from autocompress.io.inputs import find_code, find_network
from autocompress.names import is_program

if TYPE_CHECKING:
    from torch import nn

Named = str | Path | None


def check_named(
    *,
    networks: Iterable[Named | nn.Module] = (),
    codes: Iterable[str | None] = (),
    folders: Iterable[Named] = (),
    lr: Sequence[str | Path] = (),
) -> None:
    """Raise InvalidInput for a network, a file of code or a folder of images that is not there; None names nothing.

    `networks` are names of shipped ones or files (modules are there), `codes` FILE.py:CALLABLE or programs, `lr` is as
    in `data.layouts`.
    """
    from autocompress.data.layouts import MADE, check_folder, is_alone  # NumPy and Pillow come with it

    for network in networks:
        if isinstance(network, str | Path):
            find_network(str(network))
    for code in codes:
        if code is not None and not is_program(code):
            find_code(code)
    of_lr = () if is_alone(lr) else (one for one in lr if str(one) != MADE)
    for folder in (*folders, *of_lr):
        if folder is not None:
            check_folder(Path(folder))


def check_preset(name: str, teacher: Named | nn.Module) -> None:
    """Raise InvalidInput for what is no file, no preset and no family, shrunk from this teacher (None: the default).

    A file of a teacher may bring a family of its own, and so may a call from Python, which has imported PyTorch: there
    it is left to those that look at networks.
    """
    shipped = teacher is None or (isinstance(teacher, str) and teacher in package_files.networks())
    if not shipped or Path(name).is_file() or name in package_files.presets():
        return
    if not _may_be_family(name):
        known = ", ".join([*package_files.presets(), *sorted(package_files.families())])
        raise InvalidInput(f"{name} is no file, no preset and no family; known: {known}")


def check_settings(name: str, given: Iterable[str]) -> None:
    """Raise ConfigError for what neither students of this preset or family nor their training have.

    What varies in students is read off the search spaces that ship; a family that has none is left to those that look
    at networks, and so is a file.
    """
    families = package_files.families()
    family = next((each for each in families if name in package_files.presets(each)), name)
    varied = [] if Path(name).is_file() else package_files.parameters(family)
    known = [*(each for each in varied if each not in SETTABLE), *SETTABLE]
    unknown = [field for field in given if field not in known]
    if varied and unknown:
        raise ConfigError(f"{unknown[0]} is nothing that can be set here; these can: {', '.join(known)}")


def check_family(name: str) -> None:
    """Raise InvalidInput for a family that there is not, unless a call from Python may have brought it."""
    if not _may_be_family(name):
        known = ", ".join(sorted(package_files.families()))
        raise InvalidInput(f"no family is called {name!r}; known: {known}, and what --code FILE.py:{name} builds")


def _may_be_family(name: str) -> bool:
    return "autocompress.networks.registry" in sys.modules or name in package_files.families()
