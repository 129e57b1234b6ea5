"""The learning curve of a training, as a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import plotly.graph_objects as go

from autocompress.io import checkpoints
from autocompress.report.figure_pages import figure_page
from autocompress.report.theme import LIGHT


def curve_figure(points: Sequence[tuple[int, float]], title: str) -> go.Figure:
    """PSNR-Y in dB over steps."""
    figure = go.Figure()
    texts = [f"{psnr:.2f} dB after {step} steps" for step, psnr in points]
    style = {"line": {"color": LIGHT["front"], "width": 2}, "hovertext": texts, "hoverinfo": "text"}
    figure.add_scatter(x=[step for step, _ in points], y=[psnr for _, psnr in points], mode="lines+markers", **style)
    figure.update_xaxes(title="steps", gridcolor=LIGHT["line"], zeroline=False)
    figure.update_yaxes(title="PSNR-Y in dB", gridcolor=LIGHT["line"], zeroline=False)
    figure.update_layout(template="none", title=escape(title), font={"color": LIGHT["text"]}, showlegend=False)
    return figure


def write_curve(path: Path, points: Sequence[tuple[int, float]], title: str) -> None:
    """Write a page that needs no network, complete or not at all."""
    checkpoints.write_text(path, figure_page(curve_figure(points, title), f"autocompress: {title}"))
