"""`autocompress cache`: list and clear what is kept between runs."""

from __future__ import annotations

import typer

from autocompress.cli.printing import Table, echo, show

commands = typer.Typer(help="Decoded images and teachers' outputs, kept between runs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(commands, name="cache")


@commands.command("list")
def list_entries() -> None:
    """Show every entry, the least recently used first, and the folder and its limit.

    Example: autocompress cache list
    """
    import datetime

    from autocompress import api
    from autocompress.io import cache
    from autocompress.units import format_count

    table = Table("kind", "made of", "size", "last used")
    entries = api.cache_entries()
    for entry in entries:
        used = datetime.datetime.fromtimestamp(entry.last_used).strftime("%Y-%m-%d %H:%M")
        table.add_row(entry.kind, entry.about or entry.key[:24], f"{format_count(entry.bytes)}B", used)
    show(table)
    total, limit = sum(entry.bytes for entry in entries), cache.limit()
    echo(f"{cache.folder()}: {format_count(total)}B of at most {format_count(limit)}B")


@commands.command("clear")
def clear() -> None:
    """Remove every entry that no running search uses.

    Example: autocompress cache clear
    """
    from autocompress import api

    for entry in api.clear_cache():
        echo(f"kept, because a running process uses it: {entry.kind} {entry.key}", err=True)
