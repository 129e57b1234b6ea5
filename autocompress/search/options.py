"""Options: how a field of a dataclass says all that the command line, Python and config.json have to know of it.

    sampler: SamplerName = option(SamplerName.COST_AWARE, choice(SamplerName), "What proposes students.", Panel.SEARCH)

Why not a library: pydantic-settings, cyclopts and tyro bring a command line of their own in Typer's place, and none of
them writes the command line that belongs to given values, or knows amounts such as 20G.
Nothing here imports torch, Optuna or Typer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from enum import Enum, StrEnum, auto
from pathlib import Path
from typing import Any

from autocompress import units
from autocompress.errors import InvalidInput
from autocompress.names import is_program

File = str | Path


class Panel(StrEnum):
    """Where the help shows an option."""

    BUDGET = "Budget"
    NETWORKS = "Space and teacher"
    DATA = "Data"
    SEARCH = "Search"
    RUNNING = "Running"
    OUTPUT = "Output"


class OnJoin(Enum):
    """What a session that joins a run has for an option."""

    AS_THE_RUN = auto()
    ITS_OWN = auto()  # it may be given one beside --join
    DEFAULT = auto()


def _unchanged(value: Any, *_: Any) -> Any:
    return value


@dataclasses.dataclass(frozen=True)
class Kind:
    """How the values of an option are written.

    `typed` is what Typer reads a word of the command line as, `python` what a caller from Python may give; `read` makes
    the value of either, given the option's flag for what it raises. `write` makes the word that gives a value again,
    `load` the value of what config.json holds. `found_from` makes a file's name one that holds in any folder, given
    the folder in which it held. `words` are those that a shell completes; of a `choice`, they are all that there are.
    """

    typed: type
    python: Any
    read: Callable[[str, Any], Any] = lambda _, given: given
    write: Callable[[Any], str] = str
    load: Callable[[Any], Any] = _unchanged
    found_from: Callable[[Any, Path], Any] = _unchanged
    words: Callable[[], Iterable[str]] | None = None
    choice: type[StrEnum] | None = None


WHOLE = Kind(int, int)
NUMBER = Kind(float, float, units.read_number)
TEXT = Kind(str, str)
CODE = Kind(str, str, found_from=lambda code, folder: str(folder / code))  # FILE.py:CALLABLE
FLAG = Kind(bool, bool)
COUNT = Kind(str, units.Amount, units.read_count, units.exact_count)
DURATION = Kind(str, units.Time, units.read_duration, units.exact_duration)
MILLISECONDS = Kind(str, units.Time, units.read_milliseconds, units.exact_milliseconds)
PATH = Kind(Path, File, read=lambda _, given: Path(given), load=Path, found_from=lambda path, folder: folder / path)

LR_FOLDER = Kind(
    str,
    File,
    read=lambda _, given: str(given),
    found_from=lambda name, folder: name if name in ("bicubic", "only") else str(folder / name),
)


def choice(words: type[StrEnum]) -> Kind:
    """One of an enum's words; see `Option.checked`."""
    return Kind(str, str, words=lambda: words, choice=words)


def either(words: Iterable[str]) -> str:
    """For a help text: `a, b or c`."""
    *first, last = map(str, words)
    return f"{', '.join(first)} or {last}"


def shipped_or_file(shipped: Callable[[], Iterable[str]], keyed: bool = False) -> Kind:
    """The name of something that ships with the package, or else a file; `keyed`: it may be KEY=FILE, too."""

    def found_from(name: str, folder: Path) -> str:
        key, equals, rest = name.partition("=")
        if keyed and equals and not (folder / name).is_file():  # a file's own name may have an equals sign
            return f"{key}={found_from(rest, folder)}"
        return name if name in shipped() else str(folder / name)

    return Kind(str, File, read=lambda _, given: str(given), found_from=found_from, words=shipped)


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of the command line, which is a keyword in Python and a field of a dataclass.

    `keyword` is its name where that is not the field's, `many` whether it can be given several times. `unset` says
    what holds where nothing is given. `resumes`: it belongs on the command line that goes on with a run.
    """

    kind: Kind
    help: str
    panel: Panel | None
    unset: str | None = None
    keyword: str = ""
    many: bool = False
    on_join: OnJoin = OnJoin.AS_THE_RUN
    resumes: bool = True
    field: str = ""
    default: Any = None

    @property
    def flag(self) -> str:
        """As the command line has it."""
        return "--" + self.keyword.replace("_", "-")

    @property
    def usual(self) -> Any:
        """The default as a user would give it; None for nothing."""
        if self.many:
            return self.default[0] if self.default else None
        return self.default.value if isinstance(self.default, Enum) else self.default

    @property
    def python(self) -> Any:
        """What a caller from Python may give."""
        single = self.kind.python
        accepted = single | Sequence[single] if self.many else single  # type: ignore[valid-type]
        return accepted if self.usual is not None else accepted | None

    def read(self, given: Any) -> Any:
        """The field's value of what a user gives; InvalidInput where that is none."""
        if given is None or (self.many and not isinstance(given, str | Path) and not given):
            return self.default
        if not self.many:
            return self.kind.read(self.flag, given)
        several = [given] if isinstance(given, str | Path) else given
        return tuple(self.kind.read(self.flag, each) for each in several)

    def checked(self, value: Any) -> Any:
        """The word of a choice, which may be given as a plain str; InvalidInput where it is none of them."""
        words = self.kind.choice
        if words is None:
            return value
        if value not in list(words):
            raise InvalidInput(f"{self.field} is {value!r}, but must be one of {', '.join(words)}")
        return words(value)

    def to_json(self, value: Any) -> Any:
        """For config.json."""
        if isinstance(value, tuple):
            return list(value)
        return str(value) if isinstance(value, Path | Enum) else value

    def from_json(self, content: Any) -> Any:
        """The value of what `to_json` made."""
        if self.many:
            return tuple(self.kind.load(each) for each in content)
        return None if content is None else self.kind.load(content)

    def found_from(self, value: Any, folder: Path) -> Any:
        """The value as it holds in any folder, where it held in this one."""
        if self.many:
            return tuple(self.kind.found_from(each, folder) for each in value)
        return None if value is None else self.kind.found_from(value, folder)

    def command_words(self, value: Any) -> list[str]:
        """Those of the command line that give this value; none where it is the default."""
        if value == self.default:
            return []
        if value is True:
            return [self.flag]
        return [word for each in (value if self.many else [value]) for word in (self.flag, self.kind.write(each))]


def option(default: Any, kind: Kind, help: str, panel: Panel, unset: str | None = None, **more: Any) -> Any:
    """A dataclass's field with an `Option` in its metadata."""
    return dataclasses.field(default=default, metadata={"option": Option(kind, help, panel, unset, **more)})


def options_of(settings: type) -> tuple[Option, ...]:
    """Those of a dataclass's fields, in order."""
    return tuple(
        dataclasses.replace(
            field.metadata["option"],
            field=field.name,
            keyword=field.metadata["option"].keyword or field.name,
            default=field.default,
        )
        for field in dataclasses.fields(settings)
        if "option" in field.metadata
    )


def check_without_code(
    arguments_flag: str, arguments: Sequence[str], range_flag: str, input_range: float | None, files: Iterable[object]
) -> None:
    """Raise InvalidInput for what only a network of a user's own code has; an exported program has an input range."""
    programs = any(is_program(file) for file in files)
    if arguments or (input_range is not None and not programs):
        code = arguments_flag.replace("set", "code") if "target" in arguments_flag else "--code"
        raise InvalidInput(
            f"{arguments_flag} and {range_flag} are for your own code; add {code} FILE.py:CALLABLE, or leave them out"
        )
