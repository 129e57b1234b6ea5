"""How our pages are written: a template, a style sheet and scripts become one file that needs no network."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from autocompress.errors import DiskFull, InvalidInput
from autocompress.io import atomic
from autocompress.report.figures import CONFIG, DARK, LIGHT, POLICY, variables
from autocompress.report.pictures import student_name
from autocompress.units import (
    decibels,
    format_count,
    format_duration,
    format_milliseconds,
    quantity,
    signed_decibels,
)

FOLDER = Path(__file__).parent


def render(
    template: str, scripts: Sequence[str], figures: Mapping[str, go.Figure], data: Mapping[str, Any], **shown: Any
) -> str:
    """A page of a template and scripts in this folder; scripts find the figures and `data` as JSON in it."""
    content = {"figures": {name: json.loads(figure.to_json()) for name, figure in figures.items()}, **data}
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(_part("style.css")),
            light=Markup(variables(LIGHT)),
            dark=Markup(variables(DARK)),
            policy=Markup(POLICY),  # all of it ours
            plotly=Markup(_plotly()),
            script=Markup("".join(map(_part, ["figures.js", *scripts]))),
            # no name in it ends the script's element
            data=Markup(json.dumps(content | {"config": CONFIG}).replace("<", "\\u003c")),
            figures=figures.keys(),
            **shown,
        )
    )


def write_page(path: Path, page: str) -> Path:
    """Write a page; see `write_output`."""
    return write_output(path, atomic.encode(page), "--out")


def write_output(path: Path, content: bytes, option: str) -> Path:
    """Write the file that an option names, complete or not at all, and return its path.

    InvalidInput if it cannot be written there.
    """
    try:
        atomic.write_bytes(path, content)
    except DiskFull:
        raise
    except OSError as error:
        raise InvalidInput(
            f"{path}: cannot be written to ({error.strerror}); give another file with {option}"
        ) from error
    return path


@cache
def _environment() -> Environment:
    """With the templates, which are compiled once for a process."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": format_count, "quantity": quantity, "duration": format_duration, "shape": _shape}
    environment.filters |= {"db": decibels, "signed_db": signed_decibels}
    environment.filters |= {"ms": format_milliseconds, "student": student_name, "with_code": with_code}
    return environment


def with_code(text: str) -> Markup:
    """A text for terminals, with what is between backticks set as code."""
    pieces = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(one) if at % 2 else one for at, one in enumerate(pieces))


def _part(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    """Plotly's script, packed: it is half as large as all else in a page."""
    return b64encode(zlib.compress(get_plotlyjs().encode(), 9)).decode()


def _shape(row: dict[str, Any]) -> str:
    """A network's counts as a text."""
    return str(row["network"])
