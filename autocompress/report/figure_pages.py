"""What all our pages with Plotly's figures have in common: they send nothing, and ask no server for anything."""

from __future__ import annotations

from html import escape
from typing import Any

import plotly.graph_objects as go

# Plotly has a button that uploads the figure to its makers' cloud, and can take maps from their server.
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "topojsonURL": "data:,",
}

# What browsers keep a page to, whatever its scripts want: nothing is loaded, sent or asked for.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; form-action 'none'; base-uri 'none'"
)


def figure_page(figure: go.Figure, title: str) -> str:
    """One HTML page with a figure, and Plotly's script inside; `title` is the window's."""
    html: str = figure.to_html(include_plotlyjs=True, full_html=True, config=CONFIG)
    head = f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{escape(title)}</title>'
    return html.replace("<head>", head, 1)
