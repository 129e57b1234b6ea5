"""The command line. Commands import what they need when they run, so that `--help` answers at once."""

from __future__ import annotations

import sys

import typer

from autocompress.cli import caching, distilling, networks, pruning, runs, searching, spaces, teachers, upscaling
from autocompress.errors import AutocompressError, InvalidInput

app = typer.Typer(
    name="autocompress",
    help="Find small super-resolution networks: prune, distill and search, down to a FLOPs budget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _module in (searching, runs, pruning, distilling, networks, upscaling, teachers, spaces, caching):
    _module.register(app)


def main() -> None:
    """Run the command line: exit code 2 for input that cannot be used, 1 for a failure while running."""
    try:
        app()
    except AutocompressError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2 if isinstance(error, InvalidInput) else 1)
