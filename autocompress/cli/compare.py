"""`autocompress compare`: several runs beside each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autocompress.cli.printing import Table, echo, say, show
from autocompress.units import decibels, format_count, format_milliseconds, quantity

if TYPE_CHECKING:
    from autocompress.search.results.compare import Comparison


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(compare)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Run folders; the first is what the others are compared with.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Write a page with the fronts over each other, such as both.html.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone, on stdout.")] = False,
) -> None:
    """Compare the fronts of runs: the best student of each within the same cost, and how far apart they are.

    Runs must have been scored on the same validation images.

    Example: autocompress compare runs/edsr-20G-seed0 runs/mine --out both.html
    """
    from autocompress import api

    found = api.compare(runs, out)
    if as_json:
        echo(json.dumps(found.to_dict(), indent=2))
        return
    _show(found)
    if out is not None:
        echo(out)


def _show(found: Comparison) -> None:

    show(_runs_table(found))
    show(_levels_table(found))
    say(f"\n{found.note}")


def _runs_table(found: Comparison) -> Table:
    """What differs between the runs, and how good their fronts are."""
    table = Table(title=f"{quantity(len(found.runs), 'run')}, scored on {quantity(found.images, 'validation image')}")
    table.add_column("")
    for compared in found.runs:
        table.add_column(compared.name)
    table.add_row("hypervolume", *(f"{volume:.3f}" for volume in found.hypervolumes), style="bold")
    table.add_row("on the front", *(quantity(len(compared.front), "student") for compared in found.runs))
    for what, values in found.settings.items():
        table.add_row(what, *values)
    return table


def _levels_table(found: Comparison) -> Table:
    """The best students at equal cost."""
    from autocompress.evaluation.records import score_of

    what, form = ("latency", format_milliseconds) if found.by_latency else ("FLOPs", format_count)
    table = Table(title=f"PSNR-Y in dB of each front's best student within the same {what}, and its trial")
    table.add_column("at most", justify="right")
    for compared in found.runs:
        table.add_column(compared.name, justify="right")
        if compared is not found.runs[0]:
            table.add_column("difference", justify="right")
    for level in found.levels:
        cells = []
        for index, row in enumerate(level.best):
            cells.append("" if row is None else f"{decibels(score_of(row))} ({row['trial']})")
            if index:
                difference = level.differences[index]
                cells.append("" if difference is None else str(difference))
        table.add_row(f"{form(level.cost)}{' ms' * found.by_latency}", *cells)
    return table
