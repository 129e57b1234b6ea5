"""The trained networks that ship with the package, and what a user may name as a teacher.

Each is a file of weights with a JSON side file that says how it was made. Students that ship are in `models`, and may
be teachers too. This room is the top of `networks` and may import all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autocompress.errors import CheckpointError, InvalidInput
from autocompress.io import package_files
from autocompress.networks.base import SRNetwork
from autocompress.networks.loading import load
from autocompress.networks.models import Shipped, read_shipped
from autocompress.networks.registry import find_family


def shipped() -> dict[str, Shipped]:
    """Every network in the package, by name: teachers, then students."""
    return read_shipped(package_files.networks())


def shipped_teachers() -> dict[str, Shipped]:
    """The teachers in the package, by name."""
    return read_shipped(package_files.teachers())


def default_teacher(family: str) -> str:
    """The name of the teacher that a search over this family takes when none is named: the first that may be one."""
    known = shipped_teachers()
    own = [name for name, teacher in known.items() if teacher.about["family"] == family]
    if own or find_family(family).any_teacher:
        return (own or list(known))[0]
    raise CheckpointError(f"no teacher of the family {family} ships with the package; give one with --teacher FILE")


def load_teacher(name_or_file: str, **overrides: Any) -> SRNetwork:
    """A shipped network by name, or the network in a file; see `load`."""
    return load(name_or_file, **overrides)


def load_target(
    name_or_file: str | Path | None, code: str | None, arguments: Sequence[str] | None, input_range: float | None
) -> SRNetwork | None:
    """The network to learn from, where one is named; `code`, `arguments` and `input_range` are those of `load`.

    Raises InvalidInput for code without a file of weights.
    """
    if name_or_file is not None:
        return load_teacher(str(name_or_file), code=code, set=arguments, input_range=input_range)
    if code is not None:
        raise InvalidInput(f"--target-code {code} needs the weights of its network; add --target FILE")
    return None
