"""What all our figures have in common: colours, the axis of costs, what their pages may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from typing_extensions import override

from autocompress.search.space.cost import LATENCY_MS
from autocompress.units import format_count, format_milliseconds

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

LIGHT = {
    "ground": "#f6f7f9",
    "surface": "#ffffff",
    "text": "#16202c",
    "muted": "#566373",
    "line": "#dde2e9",
    "front": "#1a56c4",
    "tint": "#e9f0fd",
    "pick": "#b9480c",
    "other": "#8b97a6",
    "teacher": "#7a3fd1",
    "published": "#0c7a6c",
}
DARK = {
    "ground": "#0f1318",
    "surface": "#181e26",
    "text": "#e8ecf1",
    "muted": "#9dabba",
    "line": "#2e3845",
    "front": "#7db0ff",
    "tint": "#1d2c45",
    "pick": "#ffa066",
    "other": "#79879a",
    "teacher": "#c3a1ff",
    "published": "#4fd3ba",
}


def variables(palette: dict[str, str]) -> str:
    """A palette as CSS custom properties."""
    return " ".join(f"--{name}: {colour};" for name, colour in palette.items())


@dataclass(frozen=True)
class Axis:
    """A cost axis: `key` is the cost's field in a student or teacher, `budget` in a budget; ticks cover `decades`."""

    key: str
    budget: str
    name: str
    unit: str
    title: str
    form: Callable[[float], str]
    decades: range

    def said(self, cost: float) -> str:
        """A cost as a text with its unit."""
        return f"{self.form(cost)} {self.unit}"


AXES = {
    "flops": Axis("flops", "flops", "FLOPs", "FLOPs", "FLOPs for a 1280x720 output", format_count, range(5, 14)),
    "latency": Axis(
        LATENCY_MS, "latency", "latency", "ms", "ms for a 1280x720 output", format_milliseconds, range(-2, 7)
    ),
}


class LocalFigure(go.Figure):  # type: ignore[misc]
    """A figure that is shown, and written, without Plotly's button that sends it to a server."""

    @override
    def show(self, *args: Any, **options: Any) -> Any:
        return super().show(*args, **{"config": CONFIG} | options)

    @override
    def to_html(self, *args: Any, **options: Any) -> Any:
        return super().to_html(*args, **{"config": CONFIG} | options)

    @override
    def write_html(self, *args: Any, **options: Any) -> Any:
        return super().write_html(*args, **{"config": CONFIG} | options)

    def _repr_mimebundle_(self, *args: Any, **options: Any) -> Any:
        return super()._repr_mimebundle_(*args, **{"config": CONFIG} | options)

    def _ipython_display_(self) -> None:
        """What a notebook calls: Plotly's own would show it without what is said above."""
        self.show()


def lay_out(figure: go.Figure, x: str, y: str) -> None:
    """Give a figure its titles, and our look."""
    figure.update_xaxes(title=x, gridcolor=LIGHT["line"], zeroline=False)
    # room for numbers of any length between the title and the axis
    figure.update_yaxes(title={"text": y, "standoff": 8}, automargin=True, gridcolor=LIGHT["line"], zeroline=False)
    figure.update_layout(
        template="none",
        font={"color": LIGHT["text"]},
        margin={"l": 56, "r": 16, "t": 16, "b": 48},
        showlegend=False,
    )
