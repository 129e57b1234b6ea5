"""The one way to read a network from a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from autocompress.compute.bounded import bounded, worth
from autocompress.errors import CheckpointError, InvalidInput, cut
from autocompress.io import checkpoints
from autocompress.io.arguments import typed_arguments
from autocompress.io.atomic import read_json
from autocompress.io.inputs import find_network, parse_fields
from autocompress.io.state_dicts import StateDict, described, state_dicts
from autocompress.io.tensor_checks import check_values
from autocompress.io.typed import MALFORMED
from autocompress.names import is_program
from autocompress.networks.base import Config, Family, SRNetwork, Weights
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.code import Code
from autocompress.networks.custom.programs import Program, ProgramFamily
from autocompress.networks.custom.spandrel_networks import has_spandrel, spandrel_family
from autocompress.networks.known_names import seems_to_be
from autocompress.networks.plainusr import PlainUSRFamily
from autocompress.networks.registry import DERIVED, FAMILIES, find_family, register
from autocompress.networks.weights import with_weights

TRIED = 12  # of the places where a network may be, by code that is not ours
Recognised = tuple[Family, Config, Weights, StateDict]


@typed_arguments
def load(
    file: str | Path,
    *,
    code: str | None = None,
    set: Sequence[str] | None = None,
    input_range: float | None = None,
    **overrides: float | None,
) -> SRNetwork:
    """The network in a file, in eval mode: our students, official files of any known family, and any other's by `code`.

    `file` may be the name of a network that ships with the package, as a text; a Path is always a file.
    Its input is (B, 3, H, W) RGB in [0, 1], any size; its output (B, 3, scale*H, scale*W).
    `overrides` are numbers that no file of weights holds: fields of the config that the network's family declares as
    such. Where one is not given, or None, it is what our own JSON side file says, or what is usual for such a network.
    `code` is `FILE.py:CALLABLE`: your own code, which is run, and builds the network of the arguments that `set` gives
    as `NAME=VALUE`; for students of an exported program it is that, `FILE.pt2`. A file that is one needs no code.
    `input_range` is 1 or 255, the largest value of its images; None: found by trying both.
    Raises CheckpointError, saying what the file holds, for what cannot be read.
    """
    known = [override.field for family in FAMILIES.values() for override in family.overrides]
    for name in overrides:
        if name not in known:
            raise TypeError(f"{name!r} is no number of a network that may be given; these are: {', '.join(known)}")
    path, given = _path(file), {name: value for name, value in overrides.items() if value is not None}
    _check_range(input_range)
    custom = None if code is None else know_code(code, set or ())
    if custom is None and (set or (input_range is not None and not is_program(path))):
        raise InvalidInput(
            f"{path}: arguments and an input range were given, which are for a network of your own code; add --code "
            "FILE.py:CALLABLE, or leave them out"
        )
    if is_program(path):
        if code is not None or given:
            raise InvalidInput(f"{path} is an exported program, which needs neither code nor numbers; leave them out")
        return know_program(path).teacher(input_range)
    content = checkpoints.read_content(path)
    found = _state_dicts(path, content)
    if not found:
        raise CheckpointError(
            f"{path}: holds {described(content)}, but a state dict (names to tensors) is needed; "
            "save that alone with torch.save(model.state_dict(), ...)"
        )
    try:
        return _described_by_side_file(path, found, given) or _read(path, found, custom, input_range, given)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _check_range(input_range: float | None) -> None:
    """InvalidInput for a largest value of images that is none."""
    if input_range is not None and not (math.isfinite(input_range) and input_range > 0):
        raise InvalidInput(f"input_range is {input_range}, but must be a number > 0, such as 1 or 255")


def read_by_code(path: Path, family: CustomFamily, input_range: float | None) -> SRNetwork:
    """The network of a user's code with the weights of a file; raises CheckpointError."""
    return _of_own_code(path, _state_dicts(path, checkpoints.read_content(path)), family, input_range)


def _state_dicts(path: Path, content: object) -> list[StateDict]:
    try:
        return state_dicts(content)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _path(file: str | Path) -> Path:
    """The file itself, or that of the shipped network of this name; CheckpointError for a text that is neither."""
    return file if isinstance(file, Path) else find_network(file)


def _described_by_side_file(path: Path, found: Sequence[StateDict], given: Mapping[str, Any]) -> SRNetwork | None:
    """The network that our own side file describes; None where there is none, or a JSON file that is something else."""
    side_file = path.with_suffix(".json")
    outermost = min(found, key=lambda one: len(one.path))
    told = _read_description(path, side_file, outermost.everything) if side_file.is_file() else None
    if told is None:
        return None
    family, config = told
    for name, value in given.items():
        if getattr(config, name, None) != value:
            raise CheckpointError(f"{name} {value} was given, but {side_file} describes it as {config}; leave it out")
    reason = ""
    for state_dict in found:
        if len(state_dict.everything) < len(outermost.everything):
            continue
        try:
            check_values(path.stat().st_size, state_dict.everything)
            network = _built(family, config, state_dict.everything)
        except (CheckpointError, RuntimeError) as error:
            reason = f" ({error})" if isinstance(error, CheckpointError) else reason
        else:
            network.layout = f"as {side_file.name} describes it"
            return network
    raise CheckpointError(
        f"its tensors are not the network that {side_file} describes{reason}; "
        "restore the file that belongs to it, or remove it"
    )


def _built(family: Family, config: Config, weights: Weights) -> SRNetwork:
    """`with_weights`, in memory that these weights are worth: a config may give sizes that no parameter has."""
    if isinstance(family, ProgramFamily):  # its networks are no larger than the program, which is read within that
        return with_weights(family, config, weights)
    with bounded(worth(weights)):
        return with_weights(family, config, weights)


def _read(
    path: Path,
    found: Sequence[StateDict],
    custom: CustomFamily | None,
    input_range: float | None,
    given: Mapping[str, Any],
) -> SRNetwork:
    """The network that is recognised in the first of the state dicts in which any is."""
    if custom is not None:
        return _of_own_code(path, found, custom, input_range)
    recognised, reasons = _recognised(path, found)
    if recognised:
        family, config, weights, state_dict = recognised[0]
        for _, _, other, place in recognised[1:]:
            if place.rank == state_dict.rank and place.is_apart_from(state_dict) and not _same(other, weights):
                raise CheckpointError(
                    f"holds several networks of different weights ({_place(state_dict)}; {_place(place)}); save the "
                    "state dict of the one that is meant alone with torch.save"
                )
        network = _built(family, _overridden(family, config, given), weights)
        network.layout = ", ".join(filter(None, (family.naming(state_dict.tensors), state_dict.place)))
        return network
    if (by_shapes := _by_shapes(path, found)) is not None:
        return by_shapes
    if reasons:
        raise reasons[max(reasons)]
    named = max(found, key=lambda one: (not one.prefix, len(one.everything), len(one.path)))
    names = list(named.everything)
    known = seems_to_be(names)
    raise CheckpointError(
        f"{len(names)} tensors ({cut(', '.join(names[:4]), 200)}, ...) that belong to none of the families "
        f"{', '.join([*FAMILIES, *DERIVED])}{'' if known is None else f'; it seems to be {known}'}; "
        "give the code that builds the network, as --code FILE.py:CALLABLE (a target's as --target-code)"
        + ("" if has_spandrel() else ", or install spandrel, which knows many (pip install 'autocompress[spandrel]')")
    )


def _by_shapes(path: Path, found: Sequence[StateDict]) -> SRNetwork | None:
    """The network whose code and arguments follow from the first of the state dicts from which any do; or None."""
    for state_dict in found[:TRIED]:
        try:
            check_values(path.stat().st_size, state_dict.tensors)
        except CheckpointError:
            continue
        known = _family_by_shapes(state_dict.everything)
        if known is not None:
            register(known)
            network = known.with_tensors(state_dict.everything, input_range=1.0)
            network.layout = ", ".join(filter(None, (f"the names of {known.name}", state_dict.place)))
            return network
    return None


def _family_by_shapes(tensors: Weights) -> CustomFamily | None:
    """Of a network that tensors tell all of: one of ours, or what spandrel, where it is installed, recognises."""
    return PlainUSRFamily.of(tensors) or spandrel_family(tensors)


def _of_own_code(path: Path, found: Sequence[StateDict], custom: CustomFamily, input_range: float | None) -> SRNetwork:
    """The network of a user's code with the tensors of the first state dict that has all of them."""
    reasons = []
    for state_dict in found[:TRIED]:
        try:
            check_values(path.stat().st_size, state_dict.tensors)
            network = custom.with_tensors(state_dict.everything, input_range)
        except CheckpointError as error:
            reasons.append((-len(state_dict.path), error))
        else:
            network.layout = ", ".join(filter(None, (f"the names of {custom.name}", state_dict.place)))
            return network
    if not reasons:
        raise CheckpointError("holds no tensors; give a file of weights")
    raise max(reasons, key=lambda reason: reason[0])[1]


def _recognised(path: Path, found: Sequence[StateDict]) -> tuple[list[Recognised], dict[int, CheckpointError]]:
    """What the families read in each state dict, and, by the number of tensors, why they refuse what seems theirs."""
    recognised: list[Recognised] = []
    reasons: dict[int, CheckpointError] = {}
    for state_dict in found:
        if recognised and state_dict.rank != recognised[0][3].rank:
            break
        try:
            check_values(path.stat().st_size, state_dict.tensors)
            for family in FAMILIES.values():
                read = family.read(state_dict.tensors)
                if read is not None:
                    recognised.append((family, *read, state_dict))
        except CheckpointError as error:
            reasons.setdefault(len(state_dict.tensors), error)
    return recognised, reasons


def _place(state_dict: StateDict) -> str:
    return state_dict.place or "at the top"


def _same(some: Weights, others: Weights) -> bool:
    return some.keys() == others.keys() and all(torch.equal(value, others[name]) for name, value in some.items())


def _read_description(path: Path, side_file: Path, tensors: Weights) -> tuple[Family, Config] | None:
    """What our own side file says of a network; None for a JSON file that is something else."""
    try:
        side = read_json(side_file)
        if not {"family", "config"} <= side.keys():
            return None
        if side["family"] not in FAMILIES:
            _know(side, tensors)
        family = find_family(side["family"], side["config"])
        known_weights = side.get("weights")
        replaced = known_weights and checkpoints.digest_of(path.read_bytes()) not in known_weights
        described = family, family.config_class.from_dict(side["config"])
    except MALFORMED as error:
        raise CheckpointError(
            f"{side_file}: not the description of a network ({cut(str(error), 300)}); remove it"
        ) from error
    if replaced:
        raise CheckpointError(
            f"replaced or damaged: {side_file} was written for other weights; restore the file that belongs to it, "
            "or remove `weights` from it"
        )
    return described


def _know(side: Mapping[str, Any], tensors: Weights) -> None:
    """Know the family of a student where its file, or its teacher's, says all: of a program, or what spandrel knows."""
    teacher = Path(str(side.get("provenance", {}).get("teacher") or ""))
    if is_program(teacher) and teacher.is_file():
        know_program(teacher)
    elif side["family"] not in DERIVED and (known := spandrel_family(tensors)) is not None:
        register(known)


def know_code(code: str, arguments: Sequence[str] = ()) -> CustomFamily:
    """The family of what a user's code builds, known from now on; see `load`. Raises InvalidInput."""
    if is_program(Path(code)):
        if arguments:
            raise InvalidInput(f"{code} is an exported program, which takes no arguments; leave --set out")
        return know_program(Path(code))
    family = CustomFamily(Code.parse(code), parse_fields(arguments))
    register(family)
    return family


def know_program(file: Path) -> ProgramFamily:
    """The family of an exported program, known from now on; raises CheckpointError."""
    family = ProgramFamily(Program.of(file))
    register(family)
    return family


def _overridden(family: Family, config: Config, given: Mapping[str, Any]) -> Config:
    """The config with these numbers; CheckpointError for one that the family's networks do not have."""
    known = [override.field for override in family.overrides]
    for name, value in given.items():
        if name not in known:
            raise CheckpointError(
                f"{name} {value} was given, but this is of the family {family.name}, which has none; leave it out"
            )
    return replace(config, **given)
