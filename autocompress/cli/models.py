"""`autocompress models`: the students that ship with the package."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from autocompress.cli.options import complete_model
from autocompress.cli.printing import Table, echo, show
from autocompress.units import decibels

commands = typer.Typer(help="Students that ship with the package, ready to upscale with.", no_args_is_help=True)
SPARE = ("official code", "params", "family", "scale")


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(commands, name="models")


@commands.command("list")
def list_models() -> None:
    """Name every student that ships, with its cost, its PSNR-Y, and the code beside autocompress that loads it.

    Example: autocompress models list
    """
    from autocompress import api
    from autocompress.io.package_files import DEFAULT_MODEL
    from autocompress.units import format_count

    models = api.models()
    sets = list(dict.fromkeys(data for model in models for data in model.about["metrics"]))
    table = Table()
    table.add_column("name", no_wrap=True)  # it is what one types
    for heading in ("family", "scale"):
        table.add_column(heading)
    for heading in ("FLOPs", "params", *sets):
        table.add_column(heading, justify="right")
    table.add_column("official code")
    for model in models:
        about = model.about
        scores = [about["metrics"][data]["psnr_y"] if data in about["metrics"] else None for data in sets]
        table.add_row(
            f"{model.name}{' *' if model.name == DEFAULT_MODEL else ''}",
            about["family"],
            f"x{about['scale']}",
            format_count(about["flops"]),
            format_count(about["params"]),
            *("" if score is None else decibels(score) for score in scores),
            model.official_code or "none",
        )
    table.add_caption("PSNR-Y in dB; *: what upscales where no network is named")
    show(table, SPARE)


@commands.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="Its name, as in `models list`.", autocompletion=complete_model)],
) -> None:
    """Print what is known of a student that ships as JSON: config, cost, scores, and how it was made.

    Example: autocompress models show edsr-x2-3g
    """
    from autocompress import api

    echo(json.dumps(api.describe_model(name), indent=2))
