"""The one way to read a network from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from autocompress.errors import CheckpointError
from autocompress.io import checkpoints
from autocompress.networks.base import Config, Family, SRNetwork
from autocompress.networks.descriptions import read_description
from autocompress.networks.registry import FAMILIES
from autocompress.networks.weights import with_weights


def load(file: str | Path, **overrides: float | None) -> SRNetwork:
    """The network in a file, in eval mode: our students, and official files of any known family.

    Its input is (B, 3, H, W) RGB in [0, 1], any size; its output (B, 3, scale*H, scale*W).
    `overrides` are numbers that no file of weights holds: fields of the config that the network's family declares as
    such. Where one is not given, or None, it is what our own JSON side file says, or what is usual for such a network.
    Raises CheckpointError, saying what the file holds, for what cannot be read.
    """
    known = [override.field for family in FAMILIES.values() for override in family.overrides]
    for name in overrides:
        if name not in known:
            raise TypeError(f"{name!r} is no number of a network that may be given; these are: {', '.join(known)}")
    path, given = Path(file), {name: value for name, value in overrides.items() if value is not None}
    tensors = checkpoints.read_tensors(path)
    side_file = path.with_suffix(".json")
    described = read_description(side_file) if side_file.is_file() else None
    if described is not None:
        family, config = described
        for name, value in given.items():
            if getattr(config, name, None) != value:
                raise CheckpointError(f"{name} {value} was given, but {side_file} describes {path.name} as {config}")
        try:
            return with_weights(family, config, tensors)
        except RuntimeError as error:
            raise CheckpointError(f"{path}: its tensors are not the network that {side_file} describes") from error
    for family in FAMILIES.values():
        try:
            read = family.read(tensors)
            if read is not None:
                return with_weights(family, _overridden(family, read[0], given), read[1])
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None
    keys = ", ".join(list(tensors)[:4])
    raise CheckpointError(
        f"{path}: {len(tensors)} tensors ({keys}, ...) that belong to none of the families {', '.join(FAMILIES)}"
    )


def _overridden(family: Family, config: Config, given: Mapping[str, Any]) -> Config:
    """The config with these numbers; CheckpointError for one that the family's networks do not have."""
    known = [override.field for override in family.overrides]
    for name, value in given.items():
        if name not in known:
            raise CheckpointError(f"{name} {value} was given, but this is of the family {family.name}, which has none")
    return replace(config, **given)
