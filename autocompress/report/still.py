"""A figure as plain SVG: what a page shows where no script runs, and until Plotly has drawn the same.

Kaleido draws any figure, but needs a browser of its own; so this draws what our figure of the front consists of:
markers, lines, and the lines and texts of limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import plotly.graph_objects as go

WIDTH, HEIGHT = 640, 460
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 32, 48
ROOM = 0.05  # of the width, beside the points
ANCHORS = {"left": "start", "center": "middle", "right": "end"}  # of Plotly and of SVG
TICKS = 6  # at most, along the height

Place = Callable[[float], float]


def still(figure: go.Figure) -> str:
    """The visible traces, lines and notes of a figure over a logarithmic x axis, as SVG in the page's colours."""
    content = figure.to_plotly_json()
    traces, layout = [trace for trace in content["data"] if trace.get("visible") != "legendonly"], content["layout"]
    shapes, notes = layout.get("shapes", ()), layout.get("annotations", ())
    xs = [x for trace in traces for x in trace["x"]] + [s["x0"] for s in shapes if s["xref"] == "x"]
    ys = [y for trace in traces for y in trace["y"]] + list(
        layout["yaxis"].get("autorangeoptions", {}).get("include", ())
    )
    x_at = _scale([math.log10(x) for x in xs], LEFT, WIDTH - RIGHT)
    y_at = _scale(ys, HEIGHT - BOTTOM, TOP)
    parts = [
        *_axes(layout, xs, ys, x_at, y_at),
        *(_line(shape, x_at, y_at) for shape in shapes),
        *(_note(note, x_at, y_at) for note in notes),
        *(part for trace in traces for part in _trace(trace, x_at, y_at)),
    ]
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" class="still" aria-hidden="true">{"".join(parts)}</svg>'


def _scale(values: list[float], low: float, high: float) -> Place:
    """From a range of values, with some room beside it, to pixels."""
    least, most = min(values), max(values)
    room = ROOM * (most - least) or 1.0
    least, most = least - room, most + room
    return lambda value: low + (value - least) / (most - least) * (high - low)


def _axes(layout: dict[str, Any], xs: list[float], ys: list[float], x_at: Place, y_at: Place) -> Iterator[str]:
    axis = layout["xaxis"]
    for value, text in zip(axis["tickvals"], axis["ticktext"], strict=True):
        if min(xs) <= value <= max(xs):
            x = x_at(math.log10(value))
            yield _segment(x, TOP, x, HEIGHT - BOTTOM, "line")
            yield _text(x, HEIGHT - BOTTOM + 18, text, "middle")
    for value in _round_values(min(ys), max(ys)):
        yield _segment(LEFT, y_at(value), WIDTH - RIGHT, y_at(value), "line")
        yield _text(LEFT - 8, y_at(value) + 4, f"{value:g}", "end")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, axis["title"]["text"], "middle")
    yield _text(LEFT, TOP - 14, layout["yaxis"]["title"]["text"], "middle")


def _round_values(least: float, most: float) -> Iterable[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    rough = (most - least or 1.0) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough)
    return [round(step * count, 6) for count in range(math.ceil(least / step), math.floor(most / step) + 1)]


def _line(shape: dict[str, Any], x_at: Place, y_at: Place) -> str:
    if shape["xref"] == "x":
        x = x_at(math.log10(shape["x0"]))
        return _segment(x, TOP, x, HEIGHT - BOTTOM, "muted", "6 5")
    y = y_at(shape["y0"])
    return _segment(LEFT, y, WIDTH - RIGHT, y, "muted", "2 4")


def _note(note: dict[str, Any], x_at: Place, y_at: Place) -> str:
    if note.get("xref") == "paper":
        return _text(LEFT + 6, y_at(note["y"]) - 5, note["text"], "start", "muted")
    return _text(x_at(note["x"]), TOP - 5, note["text"], ANCHORS[note.get("xanchor", "center")], "muted")


def _trace(trace: dict[str, Any], x_at: Place, y_at: Place) -> Iterator[str]:
    colour = f"var(--{trace['meta']['colour']})"
    points = [(x_at(math.log10(x)), y_at(y)) for x, y in zip(trace["x"], trace["y"], strict=True)]
    if "lines" in trace["mode"] and points:
        steps = "".join(f"H{x:.1f}V{y:.1f}" for x, y in points[1:])
        start = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
        yield f'<path d="{start}{steps}" fill="none" stroke="{colour}" stroke-width="2"/>'
    texts = trace.get("hovertext") or [trace["name"]] * len(points)
    for (x, y), text in zip(points, texts, strict=True):
        radius, opacity = trace["marker"]["size"] / 2, trace.get("opacity", 1)
        title = text.replace("<b>", "").replace("</b>", "").replace("<br>", "\n")  # else it is escaped already
        mark = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}" opacity="{opacity}">'
        yield f"{mark}<title>{title}</title></circle>"


def _segment(x0: float, y0: float, x1: float, y1: float, colour: str, dashes: str = "") -> str:
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="var(--{colour})"{dash}/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "text") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="var(--{colour})">{text}</text>'
