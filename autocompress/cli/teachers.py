"""`autocompress teacher`: the trained networks that ship with the package."""

from __future__ import annotations

import json
from typing import Annotated

import typer

commands = typer.Typer(help="Teachers that ship with the package.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(commands, name="teacher")


@commands.command("list")
def list_teachers() -> None:
    """Name every shipped teacher."""
    from rich.table import Table

    from autocompress.cli.tables import show
    from autocompress.quantities import format_count
    from autocompress.teachers import shipped

    table = Table()
    for heading in ("name", "family", "scale", "FLOPs", "params", "PSNR-Y dB"):
        table.add_column(heading)
    for teacher in shipped().values():
        about = teacher.about
        scores = ", ".join(f"{data} {scores['psnr_y']:.2f}" for data, scores in about["metrics"].items())
        costs = (format_count(about["flops"]), format_count(about["params"]))
        table.add_row(teacher.name, about["family"], f"x{about['scale']}", *costs, scores)
    show(table)


@commands.command("show")
def show_teacher(
    name: Annotated[str, typer.Argument(help="A shipped teacher's name, or a file of weights.")],
    res_scale: Annotated[float | None, typer.Option(help="Residual scaling of an EDSR from elsewhere.")] = None,
) -> None:
    """Print what is known of a teacher as JSON: config, cost and, where it ships with the package, provenance."""
    from autocompress.families import family_of
    from autocompress.teachers import load_teacher, shipped

    network = load_teacher(name, res_scale)
    family = family_of(network)
    about = shipped()[name].about if name in shipped() else {}
    found = {
        "family": family.name,
        "config": network.config.to_dict(),
        "scale": network.scale,
        "flops": family.flops(network.config),
        "params": family.params(network.config),
    }
    typer.echo(json.dumps({**about, **found}, indent=2))
