"""The command line: it reads options, calls `autocompress.api`, and prints; the work itself is done in the rooms below.

Commands import what they need when they run, so that `--help` answers at once. This room may import every other one,
and it alone imports Typer.
"""

from __future__ import annotations

import errno
import functools
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from autocompress import __version__
from autocompress.cli import (
    cache,
    compare,
    distill,
    evaluate,
    export,
    models,
    prune,
    refine,
    runs,
    search,
    spaces,
    teacher,
    upscale,
)
from autocompress.cli.interruptions import as_ctrl_c
from autocompress.cli.printing import echo
from autocompress.cli.streams import is_broken, open_null, unfailing
from autocompress.errors import AutocompressError, InvalidInput, cut, is_out_of_memory
from autocompress.names import printable

NAME = "autocompress"
INTERRUPTED = 130  # also what commands exit with where it was another signal
REMEDIES = {errno.ENAMETOOLONG: "give a shorter name", errno.EISDIR: "give the name of a file"}
EXIT_CODES = (
    "Exit codes: 0 done; 1 failed while running; 2 something given cannot be used; 130 interrupted with Ctrl-C, "
    "143 by TERM, 129 by a closed terminal."
)

app = typer.Typer(
    name=NAME,
    help="Find small super-resolution networks: prune, distill and search, down to a FLOPs budget.\n\n"
    "A student is a small network made from a trained one, its teacher; the front is all the students that no other "
    "beats at the same or a lower cost.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _module in (
    search,
    refine,
    runs,
    compare,
    prune,
    distill,
    evaluate,
    export,
    upscale,
    models,
    teacher,
    spaces,
    cache,
):
    _module.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        echo(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def every_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that every command has."""


def main() -> None:
    """Run the command line and exit with one of EXIT_CODES."""
    with unfailing(), as_ctrl_c() as interruption:
        try:
            code = _run()
            sys.stdout.flush()
        except OSError as error:
            if interruption.came:  # by a terminal that was closed: nobody reads the results
                code = INTERRUPTED
            elif error.filename is None and is_broken(sys.stdout):
                code = 1
                if error.errno != errno.EPIPE:  # that is a reader who has read enough
                    echo(f"error: stdout: {error.strerror}; the results could not be written there in full", err=True)
            else:
                raise
            sys.stdout = open_null()
        if code == INTERRUPTED:
            code = interruption.code
    sys.exit(code)


def _run() -> int:
    """Run a command; returns its exit code."""
    try:
        _check_arguments(sys.argv[1:])
        code = int(_command()(prog_name=NAME, standalone_mode=False) or 0)
        if code == INTERRUPTED:
            echo("Interrupted.", err=True)
        return code
    except SystemExit as end:  # of a command that has said all there is to say
        return int(end.code or 0)
    except AutocompressError as error:
        echo(f"error: {error}", err=True)
        return 2 if isinstance(error, InvalidInput) else 1
    except OSError as error:
        if error.filename is None:  # of a stream
            raise
        remedy = REMEDIES.get(error.errno or 0)
        name, other = cut(printable(str(error.filename))), "check that it is there, and who may read and write it"
        echo(f"error: {name}: {error.strerror or 'cannot be used'}; {remedy or other}", err=True)
        return 1 if remedy is None else 2
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = cut(" ".join(str(error).split()) or type(error).__name__)
        remedy = "free some, or give smaller images or fewer workers"
        echo(f"error: out of memory ({printable(reason)}); {remedy}", err=True)
        return 1
    except typer.TyperException as error:  # what Typer itself refuses: an unknown option, a missing argument
        if message := error.format_message():  # none where it has shown a group's help
            echo(f"error: {_one_line(message)} (see --help)", err=True)
        return 2


@functools.cache
def _command() -> Callable[..., Any]:
    """All commands with their options, made once in a process."""
    return typer.main.get_command(app)


def _check_arguments(arguments: list[str]) -> None:
    """InvalidInput for one that is empty: a path would be the folder where the command runs."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if argument == "" or (argument.startswith("--") and argument.endswith("=")):
            where = argument[:-1] or (f"what follows {before}" if before else "the first argument")
            raise InvalidInput(f"{where} is empty; give a value (a variable of the shell that is not set is empty)")


def _one_line(message: str) -> str:
    """A message of Typer's (sentences on several lines) as one line like ours."""
    text = " ".join(message.split()).rstrip(".")
    return text[:1].lower() + text[1:]
