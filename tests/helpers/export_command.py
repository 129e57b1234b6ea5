"""The command export, and what it writes for the Hub at the top of a card."""

from typing import Any

import yaml
from typer.testing import CliRunner

from autocompress.cli import app


def invoke(*arguments: object) -> Any:
    """`autocompress export` with these arguments."""
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def front_matter(card: str) -> dict[str, Any]:
    """The fields at the top of a card."""
    fields: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return fields
