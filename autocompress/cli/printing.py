"""Text and tables in which foreign names can stand: on a terminal they are shown, and never obeyed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable
from typing_extensions import override

from autocompress.names import printable
from autocompress.units import wrapped


def echo(message: object = "", err: bool = False, nl: bool = True) -> None:
    """Print a text; in a pipe or a file, stdout gets it as it is, so that a program finds the files named there."""
    text = str(message)
    if err or sys.stdout.isatty():
        text = "\n".join(map(printable, text.split("\n")))
    typer.echo(text, err=err, nl=nl, color=True)  # what looks like a colour is part of a name


def say(text: str, err: bool = False) -> None:
    """Print sentences; on a terminal no line is longer than that is wide, and none is broken within a word."""
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(wrapped(line, width) for line in text.split("\n"))
    echo(text, err=err)


def tell(note: str | None) -> None:
    """Print a note on stderr, if there is any."""
    if note is not None:
        echo(note, err=True)


class Table(RichTable):
    """A table whose texts are not markup."""

    def __init__(self, *headings: str, title: str | None = None, show_footer: bool = False) -> None:
        title = None if title is None else _plain(title)
        super().__init__(*headings, title=title, title_justify="left", show_footer=show_footer)

    @override
    def add_column(self, header: str = "", footer: str = "", **options: Any) -> None:  # type: ignore[override]
        super().add_column(_plain(header), "\n".join(map(_plain, footer.split("\n"))), **options)

    @override
    def add_row(self, *cells: object, style: str | None = None) -> None:  # type: ignore[override]
        super().add_row(*(_plain(str(cell)) for cell in cells), style=style)

    def add_caption(self, text: str) -> None:
        """Put a line below it."""
        self.caption = _plain(text)


def show(table: Table, spare: Sequence[str] = ()) -> None:
    """Print a table on stdout; in a pipe or a file it has its full width.

    On a terminal that is too narrow, its lines are left out, and then the columns of `spare`, in this order, until it
    fits.
    """
    console = Console()
    unbounded = console.options.update(width=1000)
    if not console.is_terminal:
        console = Console(width=max(console.width, 180))

    def fits() -> bool:
        return console.measure(table, options=unbounded).maximum <= console.width

    if not fits():
        table.box, table.pad_edge = None, False
    for heading in spare:
        if fits():
            break
        table.columns = [column for column in table.columns if column.header != heading]
        for index, column in enumerate(table.columns):
            column._index = index  # by which rich knows which has no padding at an edge
    console.print(table)


def _plain(text: str) -> str:
    return escape(printable(text))
