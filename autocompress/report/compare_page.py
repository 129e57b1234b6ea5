"""Several runs on one page: their fronts over each other, and how far apart they are at equal cost."""

from __future__ import annotations

from html import escape
from pathlib import Path

import plotly.graph_objects as go
from markupsafe import Markup

from autocompress.evaluation.records import score_of
from autocompress.report.figures import AXES, LIGHT, Axis
from autocompress.report.front import lay_out_front
from autocompress.report.rendering import render, write_page
from autocompress.report.still import still
from autocompress.search.results.compare import ComparedRun, Comparison
from autocompress.search.results.rows import objective
from autocompress.units import decibels

# of runs, in their order: colours of our palettes, and symbols, as colours are few
COLOURS = ("front", "pick", "teacher", "published", "other")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")


def fronts_figure(comparison: Comparison) -> go.Figure:
    """PSNR-Y on the validation images over cost (log scale): the front of each run."""
    figure, axis = go.Figure(), _axis(comparison)
    for index, compared in enumerate(comparison.runs):
        colour, symbol = COLOURS[index % len(COLOURS)], SYMBOLS[index % len(SYMBOLS)]
        figure.add_scatter(
            x=compared.costs,
            y=[score_of(row) for row in compared.front],
            mode="lines+markers",
            name=escape(compared.name),
            hovertext=_texts(compared, axis),
            hoverinfo="text",
            marker={"size": 10, "color": LIGHT[colour], "symbol": symbol},
            line={"color": LIGHT[colour], "width": 2, "shape": "hv"},
            meta={"colour": colour},
        )
    by_teacher = comparison.runs[0].run.config.search.by_teacher
    lay_out_front(figure, axis, "PSNR-Y to the teacher, in dB" if by_teacher else "PSNR-Y in dB")
    return figure


def write_comparison(comparison: Comparison, path: Path) -> Path:
    """Write the page; returns its path; InvalidInput if it cannot be written there."""
    figure = fronts_figure(comparison)
    page = render(
        "compare.html",
        ["draw.js"],
        {"front": figure},
        {},
        still=Markup(still(figure)),
        comparison=comparison,
        axis=_axis(comparison),
        score_of=score_of,
    )
    return write_page(path, page)


def _axis(comparison: Comparison) -> Axis:
    return AXES[objective(comparison.runs[0].run)]


def _texts(compared: ComparedRun, axis: Axis) -> list[str]:
    return [
        f"<b>{escape(compared.name)}</b>, trial {row['trial']}: {decibels(score_of(row))} dB"
        f"<br>{axis.said(row[axis.key])}"
        for row in compared.front
    ]
