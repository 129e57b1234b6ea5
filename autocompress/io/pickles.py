"""PyTorch's files, read without importing or running anything that they name.

PyTorch's own reader for weights (`weights_only=True`) refuses a file for each class that it does not know: the options
of a training script, a NumPy number, a scheduler beside the weights. Here such a name gets a stand-in, which takes
whatever the file does to it and keeps nothing, so that the tensors beside it can be read. A name that belongs to Python
itself and is no plain value (os.system, eval) is in no file of weights; such a file is refused.
"""

from __future__ import annotations

import pickle
import re
import sys
import warnings
from _compat_pickle import IMPORT_MAPPING
from pathlib import Path
from typing import Any

import torch

from autocompress.errors import CheckpointError, cut
from autocompress.io.pickle_checks import check_pickles

MOST_NAMES = 200  # of foreign classes in a file
HARMLESS_MODULES = (
    *("_codecs", "abc", "argparse", "collections", "copyreg", "dataclasses", "datetime", "decimal", "enum"),
    *("fractions", "numbers", "pathlib", "types", "typing", "uuid", "zoneinfo"),
)
HARMLESS_BUILTINS = (
    *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list"),
    *("object", "range", "set", "slice", "str", "tuple"),
)
_UNKNOWN = re.compile(r"GLOBAL (\S+) was not an allowed global|unsupported GLOBAL (\S+) whose module")
_NO_CONTAINER = re.compile(r"(?:dict|list).*<class 'stand_in\.([^']+)'>", re.DOTALL)


class StandIn:
    """In the place of an object of a class that is not imported; `stands_for` is the class's name."""

    stands_for = ""

    def __new__(cls, *_: object, **__: object) -> Any:
        """One that ignores the arguments."""
        return object.__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


class _Dict(StandIn):
    def __new__(cls, *_: object, **__: object) -> Any:
        return {}


class _List(StandIn):
    def __new__(cls, *_: object, **__: object) -> Any:
        return []


def read_pickled(path: Path) -> object:
    """What torch.save has stored in a file, with a StandIn for each object that is no tensor or plain value.

    Raises CheckpointError for a file that would run code if it were read otherwise, or fill the memory.
    """
    try:
        with path.open("rb") as file:
            check_pickles(file)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    kinds: dict[str, type[StandIn]] = dict.fromkeys(_foreign_names(path), StandIn)
    while len(kinds) <= MOST_NAMES:
        for name in kinds:
            _refuse_code(path, name)
        try:
            with (
                path.open("rb") as file,  # a path that ends in .safetensors PyTorch reads otherwise
                warnings.catch_warnings(),
                torch.serialization.safe_globals(list(map(_stand_in, kinds.items()))),
            ):
                warnings.simplefilter("ignore", UserWarning)  # about pickle protocols
                return torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            told = str(error)
            if (found := _UNKNOWN.search(told)) and (name := found[1] or found[2]) not in kinds:
                kinds[name] = StandIn
            elif (found := _NO_CONTAINER.search(told)) and kinds.get(found[1]) is StandIn:
                kinds[found[1]] = _List if "lists" in told else _Dict
            else:
                raise _unreadable(path) from error
    raise _unreadable(path)


def _foreign_names(path: Path) -> list[str]:
    """The names that PyTorch's reader does not know; empty where only trying tells them."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))[:MOST_NAMES]
    except Exception:  # files of PyTorch before 1.6, and damaged ones
        return []


def _stand_in(named: tuple[str, type[StandIn]]) -> tuple[type[StandIn], str]:
    name, kind = named
    made = type(name, (kind,), {"stands_for": name, "__module__": "stand_in", "__qualname__": name})
    return made, name if "." in name else f"builtins.{name}"


def _refuse_code(path: Path, name: str) -> None:
    module, _, inner = name.rpartition(".")
    module = IMPORT_MAPPING.get(module, module)  # pickle writes the names of Python 2
    top = module.partition(".")[0]
    if inner in HARMLESS_BUILTINS if module in ("", "builtins") else top in HARMLESS_MODULES:
        return
    if top not in ("", *sys.stdlib_module_names):
        return
    raise CheckpointError(
        f"{path}: holds more than tensors ({cut(name)}), and loading it could run code, so it is refused; "
        "save its state dict alone with torch.save(model.state_dict(), ...)"
    )


def _unreadable(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path}: holds more than tensors, or is damaged, and loading it could run code, so it is refused; "
        "save its state dict alone with torch.save(model.state_dict(), ...)"
    )
