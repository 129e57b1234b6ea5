"""What options of several commands have in common: that of being quiet, and the words that a shell completes.

Nothing here imports torch: a shell asks at each press of a key.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Annotated, Any

import typer

from autocompress.api.choices import RecipeName
from autocompress.export.formats import Format
from autocompress.io import package_files
from autocompress.search.options import Option, Panel
from autocompress.search.settings import OPTIONS
from autocompress.shrink.init import Init
from autocompress.units import parse_count

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.", rich_help_panel=Panel.OUTPUT)]

AllowWeakTeacher = Annotated[
    bool, typer.Option("--allow-weak-teacher", help="Take a teacher or target that upscales worse than bicubic.")
]

LRFolders = Annotated[
    list[str] | None,
    typer.Option(
        "--lr",
        metavar="DIR",
        help="Folder of LR (small) images, for all sets given; or bicubic (they are made), or only (there is no HR).",
        show_default="those beside the HR images, or made",
    ),
]

_MOST_PIXELS = "256M or, for short trainings, fewer"


def _train_pixels(default: str) -> Any:
    return typer.Option(
        parser=parse_count,
        metavar="COUNT",
        help="Most HR pixels to train on, such as 100M; of larger sets a window of each image is taken.",
        show_default=default,
    )


TrainPixels = Annotated[int | None, _train_pixels(_MOST_PIXELS)]
TrainPixelsByRecipe = Annotated[int | None, _train_pixels(f"{_MOST_PIXELS}; all with --recipe paper")]


def among(words: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """What a shell completes of these."""

    def complete(incomplete: str) -> list[str]:
        return [str(word) for word in words() if word.startswith(incomplete)]

    return complete


complete_space = among(package_files.spaces)
complete_network = among(package_files.networks)
complete_model = among(package_files.models)
complete_init = among(lambda: Init)
complete_format = among(lambda: Format)
complete_recipe = among(lambda: RecipeName)


def annotated(option: Option) -> Any:
    """An option's type and declaration, as Typer reads them."""
    kind, default = option.kind, None if option.many else option.usual
    several: Any = list[kind.typed] if option.many else kind.typed  # type: ignore[name-defined]
    declared = typer.Option(
        option.flag,
        help=option.help,
        show_default=option.unset or (option.usual if option.many else True),
        autocompletion=None if kind.words is None else among(kind.words),
        rich_help_panel=option.panel,
    )
    return Annotated[several if default is not None else several | None, declared]


def with_overrides(command: Any) -> Any:
    """Give a command, in the place of its `**overrides`, an option for each number that no file of weights holds."""
    return _with(command, _OVERRIDES)


def with_network_options(command: Any) -> Any:
    """As `with_overrides`, and with the options for networks of a user's own code."""
    return _with(command, {**_CODE, **_OVERRIDES})


def with_target_code(command: Any) -> Any:
    """Give a command, in the place of its `**` argument, the options of `search` for a target of a user's own code."""
    return _with(command, _TARGET)


def with_network_and_target_code(command: Any) -> Any:
    """As `with_target_code`, and with options for a network of a user's own code, whose arguments are the command's.

    There may be no weights yet, so its range of images is not found by trying.
    """
    return _with(command, {"code": _CODE["code"], "input_range": _input_range("1")} | _TARGET)


def with_student_options(command: Any) -> Any:
    """As `with_overrides` and `with_target_code`, and with options for a teacher of a user's own code."""
    code = {"code": _CODE["code"], "code_set": _CODE["set"], "input_range": _CODE["input_range"]}
    return _with(command, {**code, **_TARGET, **_OVERRIDES})


def _input_range(default: str) -> Any:
    option = typer.Option(help="Largest value in the images that the network takes: 1 or 255.", show_default=default)
    return Annotated[float | None, option]


_CODE: dict[str, Any] = {
    "code": Annotated[
        str | None,
        typer.Option(help="Your own code that builds the network, as FILE.py:CALLABLE; the file is run."),
    ],
    "set": Annotated[list[str] | None, typer.Option(help="An argument of that code, as NAME=VALUE.")],
    "input_range": _input_range("found by trying"),
}
_TARGET: dict[str, Any] = {
    each.keyword: annotated(replace(each, panel=None)) for each in OPTIONS if each.keyword.startswith("target_")
}
_OVERRIDES: dict[str, Any] = {
    override.field: Annotated[float | None, typer.Option(help=override.help)] for override in package_files.overrides()
}


def _with(command: Any, options: dict[str, Any]) -> Any:
    """The command with these options, None where they are not given, in the place of its `**overrides`."""
    own = inspect.signature(command, eval_str=True)
    *parameters, _ = own.parameters.values()
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in options.items()
    ]
    command.__signature__ = own.replace(parameters=[*parameters, *more])
    return command
