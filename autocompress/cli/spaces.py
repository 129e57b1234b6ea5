"""`autocompress spaces`: search spaces."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from autocompress.cli.options import complete_space, with_network_options
from autocompress.cli.printing import Table, echo, show
from autocompress.units import quantity

commands = typer.Typer(help="Search spaces: what may vary in students, and within which values.", no_args_is_help=True)

NameOrFile = Annotated[
    str, typer.Argument(help="A shipped space's name, or a YAML file.", autocompletion=complete_space)
]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(commands, name="spaces")


@commands.command("list")
def list_spaces() -> None:
    """Name every shipped space with its family, size and parameters.

    Example: autocompress spaces list
    """
    from autocompress.search.space.declared import declared_space, shipped_spaces
    from autocompress.units import format_count

    table = Table("name", "family", "configs", "parameters")
    for space in map(declared_space, shipped_spaces()):
        table.add_row(space.name, space.family, format_count(space.size), ", ".join(space.specs))
    show(table)


@commands.command("show")
@with_network_options
def show_space(
    space: Annotated[
        str | None,
        typer.Argument(help="A shipped space's name, or a YAML file.", autocompletion=complete_space),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="File of weights of your own network, with --code: what can vary in it.")
    ] = None,
    **overrides: Any,
) -> None:
    """Print a space's YAML, to start one of your own from.

    Example: autocompress spaces show edsr > mine.yaml

    Of a network of your own: autocompress spaces show --teacher net.pth --code net.py:Net
    """
    from autocompress import api

    echo(api.space_text(space, teacher, **overrides), nl=False)


@commands.command("check")
def check_space(space: NameOrFile) -> None:
    """Check a YAML file; says what it spans, or which key breaks which rule.

    Example: autocompress spaces check mine.yaml
    """
    from autocompress import api
    from autocompress.units import format_count

    checked = api.space(space)
    echo(f"{space}: good, {quantity(checked.size, 'config', format_count)} of the family {checked.family.name}")
    for parameter in checked.parameters:
        echo(f"  {parameter.name}: {', '.join(map(str, parameter.values))}")
