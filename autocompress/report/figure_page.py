"""A single figure as a page of its own, in the colours of the report, for screens of any width."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go

from autocompress.io import atomic
from autocompress.report.rendering import render


def write_figure(path: Path, figure: go.Figure, heading: str, lead: str) -> None:
    """Write a page with a figure, complete or not at all.

    The figure is laid out by `lay_out`, and the `meta` of each trace names its colour, as in the report's figures.
    `lead` says in a sentence or two what one sees.
    """
    page = render("figure.html", ["draw.js"], {"only": figure}, {}, heading=heading, lead=lead)
    atomic.write_text(path, page)
