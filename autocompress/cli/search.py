"""`autocompress search`: its options are those of `Settings`."""

from __future__ import annotations

import inspect
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autocompress.cli.options import Quiet, annotated
from autocompress.cli.printing import echo, say
from autocompress.errors import InvalidInput
from autocompress.search.options import OnJoin, Option, Panel
from autocompress.search.settings import OPTIONS
from autocompress.units import decibels, format_count, format_milliseconds

if TYPE_CHECKING:
    from autocompress.api import Result


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(search)


def search(
    context: typer.Context,
    join: Annotated[
        Path | None,
        typer.Option(
            help="Work on the search in this run folder, beside others.",
            show_default=False,
            rich_help_panel=Panel.RUNNING,
        ),
    ] = None,
    quiet: Quiet = False,
    **given: Any,
) -> None:
    """Search for the best small networks within a budget; the same command again goes on where it stopped.

    Example: autocompress search --budget-flops 20G --trials 24 --out runs/mine
    """
    from autocompress import api

    if join is None:
        show_result(api.search(**given, progress=not quiet), quiet)
    else:
        show_result(api.join(join, **_given_to_join(context, given), progress=not quiet), quiet)


def _given_to_join(context: typer.Context, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a session that joins may be given; InvalidInput where there is more on the command line."""
    own = {}
    for option in OPTIONS:
        source = context.get_parameter_source(option.keyword)
        if option.on_join is OnJoin.ITS_OWN:
            own[option.keyword] = given[option.keyword]
        elif source is not None and source.name == "COMMANDLINE":
            raise InvalidInput(f"--join takes from the run what to search; leave {option.flag} out")
    return own


def _parameter(option: Option) -> inspect.Parameter:
    """An option in a function's signature."""
    kind, default = inspect.Parameter.POSITIONAL_OR_KEYWORD, None if option.many else option.usual
    return inspect.Parameter(option.keyword, kind, default=default, annotation=annotated(option))


def with_options(command: Any, options: Iterable[Option]) -> None:
    """Put options after the first parameter into a command's signature, from which Typer takes them."""
    own = inspect.signature(command, eval_str=True)
    first, *more, _ = own.parameters.values()
    command.__signature__ = own.replace(parameters=[first, *map(_parameter, options), *more])


with_options(search, OPTIONS)


def show_result(result: Result, quiet: bool, what: str = "search") -> None:
    """The front, and where it is; `what` has ended."""
    from autocompress.cli.tables import show_front
    from autocompress.evaluation.records import TO_TEACHER
    from autocompress.search.results.rows import budget, front_rows

    if not quiet:
        say(f"The {what} ended: {result.reason}.", err=True)
    students = result.students
    if not students["on_front"].any():
        why = "No student was trained to the end"
        if not students.empty:
            why = f"No student of {len(students)} is within {budget(result.run)}"
        say(f"{why}, so there is no front yet. Run folder: {result.path}", err=True)
        sys.exit(130 if result.interrupted else 1)
    best = result.best()
    latency = "" if best.latency_ms is None else f" and {format_milliseconds(best.latency_ms)} ms"
    nearness = f" ({decibels(best.metrics[TO_TEACHER])} dB to its teacher)" if TO_TEACHER in best.metrics else ""
    scored = f"{decibels(best.psnr_y)} dB{nearness} at {format_count(best.flops)} FLOPs{latency}"
    named = f"Pick: trial {best.trial}, {scored}: {best.file}"
    show_front(result.run, front_rows(result.run), named)
    say(f"The front: {result.path / 'pareto.csv'}, the report: {result.path / 'report.html'}")
    if not quiet and not result.interrupted:
        echo(next_commands(result.path), err=True)
    if result.interrupted:
        say("Interrupted; the same command goes on from here.", err=True)
        sys.exit(130)


def next_commands(run: Path) -> str:
    """What people do next with a run, as commands that can be copied."""
    folder = shlex.quote(str(run))
    commands = {
        f"autocompress upscale {folder} photo.jpg photo-x2.png": "by the pick",
        f"autocompress export {folder} --out models": "the front as files, with model cards",
        f"autocompress refine {folder} --timeout 30m": "train the front's students further",
    }
    longest = max(map(len, commands))
    lines = [f"  {command:{longest}}  # {what}" for command, what in commands.items()]
    if sys.stderr.isatty() and max(map(len, lines)) > shutil.get_terminal_size().columns:
        lines = [f"  {command}" for command in commands]  # rather than a command that is broken
    return "\n".join(["Next:", *lines])
