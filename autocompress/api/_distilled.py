"""The networks of a distillation: the teacher, what the student is of, and what it learns from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress.api._modules import as_files
from autocompress.errors import InvalidInput
from autocompress.io.inputs import what_is
from autocompress.search.options import check_without_code

if TYPE_CHECKING:
    from autocompress.networks.base import Config, Family, SRNetwork


@dataclass(frozen=True)
class Networks:
    """A teacher, the family of its student, and the preset that this is; where it is named, a target.

    `code` has the teacher's code and its arguments, where it has some.
    """

    teacher_name: str
    teacher: SRNetwork
    family: Family
    preset: Config | None
    target_name: str | None
    target: SRNetwork | None
    code: Mapping[str, Any]

    @property
    def named(self) -> dict[str, tuple[str, SRNetwork]]:
        """The networks by what they are, with their names."""
        named = {"teacher": (self.teacher_name, self.teacher)}
        return named if self.target is None else named | {"target": (str(self.target_name), self.target)}

    @property
    def described(self) -> dict[str, Any]:
        """For the student's provenance."""
        return {"teacher": self.teacher_name, "target": self.target_name, **self.code}


def open_networks(given: Mapping[str, Any], aim: Mapping[str, Any], overrides: Mapping[str, Any]) -> Networks:
    """Load what is `given` as `network`, `teacher`, `code`, `set` and `input_range`, and what `aim` has as `target`.

    Raises InvalidInput for what cannot be used.
    """
    from autocompress.networks import FAMILIES, family_of
    from autocompress.networks.teachers import load_target, load_teacher

    own, aimed = as_files(as_files(given, "network"), "teacher"), as_files(aim, "target")
    network, code, arguments, input_range = (own[name] for name in ("network", "code", "set", "input_range"))
    given_teacher = None if own["teacher"] is None else str(own["teacher"])
    target_name = None if aimed["target"] is None else str(aimed["target"])
    # the target first: of two families of one name, the student is of the teacher's
    target = load_target(target_name, aimed["code"], aimed["set"], aimed["input_range"])
    if given_teacher is None and network in FAMILIES and FAMILIES[network].any_teacher and target is not None:
        teacher_name, teacher = str(target_name), target
    else:
        teacher_name = _teacher_file(network, given_teacher, code)
        if code is None:
            check_without_code("--code-set", arguments or (), "--input-range", input_range, [teacher_name])
        teacher = load_teacher(teacher_name, code=code, set=arguments, input_range=input_range, **overrides)
    family, preset = FAMILIES.get(network, family_of(teacher)), _preset(network, teacher)
    described = {} if code is None else {"code": code, "set": list(arguments or ())}
    return Networks(teacher_name, teacher, family, preset, target_name, target, described)


def _teacher_file(network: str, teacher: str | None, code: str | None) -> str:
    """The name or file of what is shrunk; InvalidInput where `network` and `teacher` say it not, or both say it."""
    from autocompress.networks import FAMILIES, PRESETS
    from autocompress.networks.teachers import default_teacher

    if network not in PRESETS and network not in FAMILIES and Path(network).is_file():
        if teacher is not None:
            raise InvalidInput(f"{network} and --teacher {teacher} are both files of a teacher; give one of them")
        return network
    if teacher is not None:
        return teacher
    if code is not None:
        raise InvalidInput(f"--code {code} needs the weights of its network; add --teacher FILE")
    name, _ = PRESETS.get(network, (network, None))
    if name not in FAMILIES:
        raise _unknown(network)
    return default_teacher(name)


def _preset(network: str, teacher: SRNetwork) -> Config | None:
    """The preset of this name; None for a family or a file. InvalidInput where the teacher is of another family."""
    from autocompress.networks import FAMILIES, PRESETS

    name, preset = PRESETS.get(network, (network, None))
    if name not in FAMILIES:
        if Path(network).is_file():
            return None
        raise _unknown(network)
    if teacher.family != name and not FAMILIES[name].any_teacher:
        raise InvalidInput(
            f"the teacher is {teacher.family}, but the student {network} is {name}; give one of its family"
        )
    return preset


def _unknown(network: str) -> InvalidInput:
    from autocompress.networks import FAMILIES, PRESETS

    known = ", ".join([*PRESETS, *FAMILIES])
    what = what_is(Path(network)) if Path(network).exists() else "is no file"
    return InvalidInput(f"{network} {what}, no preset and no family; known: {known}")
