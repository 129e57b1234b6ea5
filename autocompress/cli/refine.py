"""`autocompress refine`: where it runs, and for how long, are options of `Settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from autocompress.api._refine import OF_REFINE
from autocompress.cli.options import Quiet
from autocompress.cli.search import show_result, with_options


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(refine)


def refine(
    run: Annotated[Path, typer.Argument(help="A run folder, as `search` printed it.", show_default=False)],
    steps: Annotated[
        int | None,
        typer.Option(
            help="Stop when each student has had so many more steps, those of earlier calls included.",
            show_default="no limit",
        ),
    ] = None,
    quiet: Quiet = False,
    **given: Any,
) -> None:
    """Train the students of a run's front for longer; the same command again goes on where it stopped.

    Students that should improve the front soonest come first. Without --steps and --timeout it takes ten minutes.

    Example: autocompress refine runs/edsr-20G-seed0 --timeout 30m
    """
    from autocompress import api

    show_result(api.refine(run, steps, **given, progress=not quiet), quiet, "refinement")


with_options(refine, OF_REFINE)
