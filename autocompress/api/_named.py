"""Whether what a call names is there: said at once, before PyTorch and others are imported, which takes seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress.distill import SETTABLE, WORDS
from autocompress.errors import ConfigError, InvalidInput
from autocompress.io import package_files
from autocompress.io.inputs import arguments_of, find_code, find_network
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


def check_settings(name: str, given: Mapping[str, Any], code: str | None = None) -> None:
    """Raise ConfigError for what neither students of this preset or family nor their training have.

    Also for a word or a list in the place of a number. What varies in students is read off the search spaces that ship,
    or off the `code` of the user's own that builds them, which is not run; a family that has no such space is left to
    those that look at networks, and so are a file and code that does not say its arguments.
    """
    own = code is not None and (Path(name).is_file() or code.endswith(f":{name}"))  # else it builds the teacher alone
    if code is not None and own:
        varied = None if is_program(code) else arguments_of(code)
        counts = varied or []
    else:
        families = package_files.families()
        family = next((each for each in families if name in package_files.presets(each)), name)
        varied = (None if Path(name).is_file() else package_files.parameters(family)) or None
        counts = []  # a family says itself which are numbers
    for field, value in given.items():
        argument = field.partition(".")[0]  # of a list its entries vary, too, and its length
        known = [*(each for each in varied or () if each not in SETTABLE), *SETTABLE]
        if varied is not None and (argument if own else field) not in known:
            raise ConfigError(f"{field} is nothing that can be set here; these can: {', '.join(known)}")
        number = value is not None and (argument in counts or (field in SETTABLE and field not in WORDS))
        if number and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise ConfigError(f"{field} is {value!r}, but must be a number")


def check_family(name: str) -> None:
    """Raise InvalidInput for a family that there is not, unless a call from Python may have brought it."""
    if not _may_be_family(name):
        known = ", ".join(sorted(package_files.families()))
        raise InvalidInput(f"no family is called {name!r}; known: {known}, and what --code FILE.py:{name} builds")


def _may_be_family(name: str) -> bool:
    return "autocompress.networks.registry" in sys.modules or name in package_files.families()
