"""Commands on a run: `pareto` and `report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="A run folder, as `search` printed it.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(pareto)
    app.command()(report)


def pareto(run: Run, as_json: Annotated[bool, typer.Option("--json", help="JSON alone on stdout.")] = False) -> None:
    """Show the front of a run, also while it is still going on.

    Example: autocompress pareto runs/edsr-20G-seed0
    """
    from autocompress.cli.tables import front_table, show
    from autocompress.search.results import as_json as to_json
    from autocompress.search.results import pareto as read_front
    from autocompress.search.run_folder import RunFolder

    folder = RunFolder.existing(run)
    table = read_front(folder)
    if as_json:
        typer.echo(json.dumps(to_json(folder, table), indent=2))
    else:
        show(front_table(folder, table))


def report(run: Run) -> None:
    """Write report.html into the run folder: the front as an interactive picture.

    Example: autocompress report runs/edsr-20G-seed0
    """
    from autocompress.report import write_report
    from autocompress.search.run_folder import RunFolder

    typer.echo(write_report(RunFolder.existing(run)))
