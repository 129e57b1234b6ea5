"""The one way to read a network from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from autocompress.errors import CheckpointError, cut
from autocompress.io import checkpoints
from autocompress.io.atomic import read_json
from autocompress.io.typed import MALFORMED
from autocompress.networks.base import Config, Family, SRNetwork, Weights
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.code import Code
from autocompress.networks.custom.spandrel_networks import spandrel_family
from autocompress.networks.descriptions import parse_fields
from autocompress.networks.registry import FAMILIES, find_family, register
from autocompress.networks.weights import with_weights


def load(
    file: str | Path,
    *,
    code: str | None = None,
    set: Sequence[str] | None = None,
    input_range: float | None = None,
    **overrides: float | None,
) -> SRNetwork:
    """The network in a file, in eval mode: our students, official files of any known family, and any other's by `code`.

    Its input is (B, 3, H, W) RGB in [0, 1], any size; its output (B, 3, scale*H, scale*W).
    `overrides` are numbers that no file of weights holds: fields of the config that the network's family declares as
    such. Where one is not given, or None, it is what our own JSON side file says, or what is usual for such a network.
    `code` is `FILE.py:CALLABLE`: your own code, which is run, and builds the network of the arguments that `set` gives
    as `NAME=VALUE`. `input_range` is 1 or 255, the largest value of its images; None: found by trying both.
    Raises CheckpointError, saying what the file holds, for what cannot be read.
    """
    known = [override.field for family in FAMILIES.values() for override in family.overrides]
    for name in overrides:
        if name not in known:
            raise TypeError(f"{name!r} is no number of a network that may be given; these are: {', '.join(known)}")
    path, given = Path(file), {name: value for name, value in overrides.items() if value is not None}
    custom = None if code is None else know_code(code, set or ())
    tensors = checkpoints.read_tensors(path)
    side_file = path.with_suffix(".json")
    described = _read_description(side_file, tensors) if side_file.is_file() else None
    if described is not None:
        family, config = described
        for name, value in given.items():
            if getattr(config, name, None) != value:
                raise CheckpointError(f"{name} {value} was given, but {side_file} describes {path.name} as {config}")
        try:
            return with_weights(family, config, tensors)
        except (CheckpointError, RuntimeError) as error:
            reason = f" ({error})" if isinstance(error, CheckpointError) else ""
            raise CheckpointError(
                f"{path}: its tensors are not the network that {side_file} describes{reason}"
            ) from error
    if custom is not None:
        return custom.with_tensors(tensors, input_range)
    for family in FAMILIES.values():
        try:
            read = family.read(tensors)
            if read is not None:
                return with_weights(family, _overridden(family, read[0], given), read[1])
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None
    spandrel = spandrel_family(tensors)
    if spandrel is not None:
        register(spandrel)
        return spandrel.with_tensors(tensors, input_range=1.0)
    keys = ", ".join(list(tensors)[:4])
    raise CheckpointError(
        f"{path}: {len(tensors)} tensors ({keys}, ...) that belong to none of the families {', '.join(FAMILIES)}; "
        "give the code that builds the network, as --code FILE.py:CALLABLE (a target's as --target-code), or install "
        "spandrel, which knows many "
        "(pip install 'autocompress[spandrel]')"
    )


def _read_description(side_file: Path, tensors: Weights) -> tuple[Family, Config] | None:
    """What our own side file says of a network; None for a JSON file that is something else."""
    try:
        side = read_json(side_file)
        if not {"family", "config"} <= side.keys():
            return None
        if side["family"] not in FAMILIES and (known := spandrel_family(tensors)) is not None:
            register(known)
        family = find_family(side["family"])
        return family, family.config_class.from_dict(side["config"])
    except MALFORMED as error:
        raise CheckpointError(f"{side_file}: not the description of a network ({cut(str(error), 300)})") from error


def know_code(code: str, arguments: Sequence[str] = ()) -> CustomFamily:
    """The family of what a user's code builds, known from now on; see `load`. Raises InvalidInput."""
    family = CustomFamily(Code.parse(code), parse_fields(arguments))
    register(family)
    return family


def _overridden(family: Family, config: Config, given: Mapping[str, Any]) -> Config:
    """The config with these numbers; CheckpointError for one that the family's networks do not have."""
    known = [override.field for override in family.overrides]
    for name, value in given.items():
        if name not in known:
            raise CheckpointError(f"{name} {value} was given, but this is of the family {family.name}, which has none")
    return replace(config, **given)
