"""Networks of exported programs (`.pt2`): no code builds them, so their students are smaller programs."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from typing_extensions import override

from autocompress.errors import CheckpointError, ConfigError, InvalidInput, cut, is_out_of_memory
from autocompress.io.programs import read_program
from autocompress.networks.base import Config, Count, SRNetwork
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.arguments import candidates
from autocompress.networks.custom.code import IMAGE, Builder
from autocompress.networks.custom.counts import NARROWEST
from autocompress.shrink.programs import ProgramGraph

WIDTH, NUMBER = "width_", "num_"


@dataclass(frozen=True)
class Program(Builder):
    """The program in `file`; `digest` is that of the file's content.

    Its arguments are counts: `width_64` of all axes of 64 channels, `num_body` of the parts `body.0`, `body.1`, ...
    """

    name: str
    file: Path
    digest: str

    @classmethod
    def of(cls, file: Path) -> Program:
        """That of a file; raises CheckpointError."""
        if not file.is_file():
            raise CheckpointError(f"{file}: no such file; check the path")
        return cls(f"{re.sub(r'[^A-Za-z0-9_]', '_', file.stem)}_pt2", file.absolute(), _digest(file))

    @property
    @override
    def importing(self) -> str:
        return "import torch"

    @property
    def graph(self) -> ProgramGraph:
        """What is read of the file, once in a process; raises CheckpointError where it is another one by now."""
        return _graph(self.file, self.digest)

    def axes(self, name: str) -> list[int]:
        """The axes of a count of channels."""
        axes = enumerate(self.graph.channels.axes)
        return [number for number, axis in axes if f"{WIDTH}{axis.size}" == name]

    @override
    def defaults(self) -> dict[str, Any]:
        widths = sorted({axis.size for axis in self.graph.channels.axes}, reverse=True)
        numbers = {_number(prefix): len(parts.units) for prefix, parts in self.graph.parts.items()}
        return {**{f"{WIDTH}{width}": width for width in widths}, **numbers}

    def _counted(self, arguments: Mapping[str, Any]) -> tuple[dict[int, int], dict[str, int]]:
        """Sizes of axes, and counts of parts by prefix."""
        whole = self.defaults()
        for name, value in arguments.items():
            if name not in whole:
                raise InvalidInput(f"{name} is nothing that varies in {self.file.name}; {', '.join(whole)} do")
            if not isinstance(value, int) or not 1 <= value <= whole[name]:
                raise InvalidInput(f"{name} is {value}, but must be from 1 to {whole[name]}")
        given = {**whole, **arguments}
        sizes = {axis: given[name] for name in given for axis in self.axes(name) if given[name] != whole[name]}
        return sizes, {prefix: given[_number(prefix)] for prefix in self.graph.parts}

    @override
    def callable(self) -> Any:
        return self._student

    def _student(self, **arguments: int) -> nn.Module:
        with torch.device("cpu"):  # also where networks are built without memory: which channels stay is computed
            return self.graph.student(*self._counted(arguments))

    @override
    def shapes(self, arguments: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        return self.graph.shapes(*self._counted(arguments))

    def runs(self, arguments: Mapping[str, Any]) -> bool:
        """Whether a student of these counts can be made, and run."""
        try:
            with torch.no_grad():
                self.build(arguments)(torch.zeros(IMAGE))
        except (ConfigError, InvalidInput, RuntimeError):  # PyTorch raises RuntimeError where sizes do not fit
            return False
        return True


def _number(prefix: str) -> str:
    return NUMBER + re.sub(r"\W+", "_", prefix).strip("_")


def _digest(file: Path) -> str:
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()


@functools.lru_cache(maxsize=8)
def _graph(file: Path, digest: str) -> ProgramGraph:
    if _digest(file) != digest:
        raise CheckpointError(f"{file} is not the program any more that it was; give that one")
    program = read_program(file)
    try:
        return ProgramGraph(program)
    except ConfigError as error:
        raise CheckpointError(f"{file}: {error}") from error
    except Exception as error:  # PyTorch raises nearly any for operations that do not fit together
        if is_out_of_memory(error):
            raise
        reason = cut(" ".join(str(error).split()) or type(error).__name__)
        raise CheckpointError(
            f"{file}: its operations cannot be run one after the other ({reason}); export it again with "
            f"PyTorch {torch.__version__}"
        ) from error


class ProgramFamily(CustomFamily):
    """The networks that are an exported program, or the same with fewer channels and parts."""

    def __init__(self, program: Program) -> None:
        super().__init__(program, {})
        self.program = program

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return ProgramFamily, (self.program,)

    @override
    def of_teacher(self, arguments: Mapping[str, Any]) -> CustomFamily:
        """The program itself, the largest of its networks."""
        return self

    @functools.cached_property
    @override
    def values(self) -> Mapping[Count, tuple[float, ...]]:
        found: dict[Count, tuple[float, ...]] = {}
        for name, value in self.arguments.items():
            deep = name.startswith(NUMBER)
            least = 1 if deep else NARROWEST
            smaller = [candidate for candidate in candidates(value) if candidate >= least]
            if smaller and self.program.runs({name: smaller[-1]}):
                found[Count(name, smaller[0], "parts" if deep else "channels")] = (*smaller, value)
        return found

    @override
    def takes(self, values: Mapping[str, float]) -> bool:
        return all(1 <= value <= int(self.arguments[name]) for name, value in values.items())

    @override
    def fixed(self) -> dict[str, str]:
        whole = {name for name in self.arguments if name not in {count.field for count in self.values}}
        return super().fixed() | dict.fromkeys(
            whole, "its operations do not say how they change with it, or it is small"
        )

    @override
    def official_code(self, config: Config) -> tuple[str, str] | None:
        return None

    def teacher(self, input_range: float | None) -> SRNetwork:
        """The program itself, in eval mode."""
        return self.with_tensors(self.program.build({}).state_dict(), input_range)
