"""The picture of a front: PSNR-Y over FLOPs or latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from autocompress.evaluation.records import TO_TEACHER, score_of
from autocompress.networks.downloadable import Downloadable, downloadable
from autocompress.report.figures import LIGHT, Axis, lay_out
from autocompress.report.report_data import ReportData
from autocompress.search.results.front import rows, scores
from autocompress.search.results.rows import LATENCIES, format_difference
from autocompress.search.run.config import TeacherReference
from autocompress.units import decibels, format_count, format_milliseconds, quantity

IMAGES_OF = {"Set5": 5, "Set14": 14}  # the sets that others publish scores on: their folders' names, and their sizes
FAR = 3.0  # times as costly as all students and the budget: a teacher from there on is drawn as a line
ROOM = 0.08  # of the width or height of the picture, beside what is in it
ROOM_FOR_TEXT = 0.14  # of the height below the line of bicubic, where the budget is named


def front_figure(report: ReportData) -> go.Figure:
    """PSNR-Y on the validation images over cost (log scale): the front, all other students, and references.

    A trace's `meta` names the colours of theme.py that it is drawn in; `customdata` of students is their trial. The
    bars of the front are the upper halves of the intervals of the differences to the pick, up to where it may be.
    """
    table, axis = report.students, report.axis
    figure = go.Figure()
    others = table[~table["on_front"]]
    if report.last_scores:
        _draw_stopped(figure, report)
    if not others.empty:
        figure.add_scatter(mode="markers", name="not on the front", opacity=0.5, **_students(others, axis, "other"))
    figure.add_scatter(mode="lines+markers", name="front", **_students(report.front, axis, "front"))
    up = report.front["plus_minus"].fillna(0).tolist()
    if any(up):
        figure.data[-1].update(error_y={"array": up, "arrayminus": [0] * len(up), "thickness": 1.5, "width": 4})
    if report.pick is not None:
        star = {"size": 17, "symbol": "star", "color": LIGHT["pick"]}
        x, y = [report.pick[axis.key]], [score_of(report.pick)]
        _draw(figure, f"pick: trial {report.pick['trial']}", x, y, "pick", star)
        figure.data[-1].update(customdata=[report.pick["trial"]], hovertext=[_text(report.pick)])
    near, far = _teachers(report)
    for name, teacher in near.items():
        diamond = {"size": 12, "symbol": "diamond", "color": LIGHT["teacher"]}
        _draw(figure, f"teacher {escape(name)}", [getattr(teacher, axis.key)], [teacher.psnr_y], "teacher", diamond)
        text = f"teacher {escape(name)}: {decibels(teacher.psnr_y)} dB<br>{_costs(teacher.to_dict())}"
        figure.data[-1].update(hovertext=[text])
    if networks := comparable(report):
        draw_downloadable(figure, networks, report.config.valid.name)
    _draw_limits(figure, report, far)
    lay_out_front(figure, axis, "PSNR-Y to the teacher, in dB" if report.by_teacher else "PSNR-Y in dB")
    return figure


def _teachers(report: ReportData) -> tuple[dict[str, TeacherReference], dict[str, TeacherReference]]:
    """The teachers to be drawn as points, and those as lines, by name: so costly that students would have no room."""
    if report.by_teacher:  # it is infinitely near to itself
        return {}, {}
    axis = report.axis
    costs = [*report.students[axis.key], getattr(report.config.search.budget, axis.budget) or 0]
    most = FAR * max(costs)
    near = {name: each for name, each in report.teachers.items() if getattr(each, axis.key) <= most}
    return near, {name: each for name, each in report.teachers.items() if name not in near}


def comparable(report: ReportData) -> list[tuple[Downloadable, float]]:
    """Networks that can be downloaded, with their PSNR-Y where it is of the images that this run's students have."""
    valid, search = report.config.valid, report.config.search
    if report.axis.key != "flops" or report.config.scale != 2 or search.by_teacher:
        return []
    if IMAGES_OF.get(valid.name) != valid.images:
        return []
    return [(each, each.psnr_y[valid.name]) for each in downloadable() if valid.name in each.psnr_y]


def lay_out_front(figure: go.Figure, axis: Axis, score: str) -> None:
    """Give a figure with costs along a logarithmic axis its ticks, titles and legend."""
    costs = [cost for trace in figure.data for cost in trace.x]
    digits = (1, 2, 3, 5, 7) if max(costs) < 10 * min(costs) else (1, 2, 5)
    ticks = [digit * 10**power for power in axis.decades for digit in digits]
    lay_out(figure, axis.title, score)
    texts = [axis.form(tick) for tick in ticks]
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=texts, tickangle=0, title_standoff=6)
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0},
        margin={"l": 56, "r": 16, "t": 32, "b": 56},
    )


def _draw(
    figure: go.Figure, name: str, x: Sequence[float], y: Sequence[float], colour: str, marker: dict[str, Any]
) -> None:
    figure.add_scatter(x=x, y=y, mode="markers", name=name, marker=marker, meta={"colour": colour}, hoverinfo="text")


def _draw_stopped(figure: go.Figure, report: ReportData) -> None:
    """Draw stopped trials, hidden at first: their scores are of unfinished trainings."""
    marker = {"size": 8, "symbol": "x-thin", "color": LIGHT["other"], "line": {"width": 2, "color": LIGHT["other"]}}
    points = [point for _, point in report.last_scores]
    x, y = [point.cost for point in points], [point.psnr for point in points]
    _draw(figure, "stopped: last score", x, y, "other", marker)
    texts = [
        f"trial {point.trial}, stopped: {decibels(point.psnr)} dB "
        + (f"after {quantity(step, 'step')}" if step else "before training")
        + f"<br>{report.axis.said(point.cost)}"
        for step, point in report.last_scores
    ]
    figure.data[-1].update(visible="legendonly", hovertext=texts)


def draw_downloadable(figure: go.Figure, networks: list[tuple[Downloadable, float]], images: str) -> None:
    """Draw networks that can be downloaded. They were trained far longer than students of a search."""
    marker = {"size": 10, "symbol": "triangle-up-open", "color": LIGHT["published"], "line": {"width": 2}}
    x, y = [network.flops for network, _ in networks], [psnr for _, psnr in networks]
    _draw(figure, "to download", x, y, "published", marker)
    texts = [
        f"{escape(network.name)}: {decibels(psnr)} dB on {images}, x2, by our evaluation<br>"
        f"{format_count(network.flops)} FLOPs, {format_count(network.params)} parameters<br>{escape(network.source)}"
        for network, psnr in networks
    ]
    names = [network.name for network, _ in networks]
    figure.data[-1].update(hovertext=texts, mode="markers+text", text=names, textposition="top center")


def _draw_limits(figure: go.Figure, report: ReportData, far: dict[str, TeacherReference]) -> None:
    """Draw lines for bicubic, with a little room below it, for teachers far away, and for the budget."""
    axis, bicubic = report.axis, report.references.bicubic.score
    budget = getattr(report.config.search.budget, axis.budget)
    best = scores(report.students).max() if report.by_teacher else report.references.teacher.psnr_y
    room, below = ((best - bicubic) * share for share in (ROOM, ROOM if budget is None else ROOM_FOR_TEXT))
    line = {"line_width": 1.5, "line_color": LIGHT["muted"]}
    note = {"showarrow": False, "yanchor": "bottom"}
    levels = {f"bicubic {decibels(bicubic)} dB": bicubic}
    for name, teacher in far.items():
        named = "teacher" if len(report.teachers) == 1 else f"teacher {escape(name)}"
        levels[f"{named} {decibels(teacher.psnr_y)} dB, {axis.said(getattr(teacher, axis.key))}"] = teacher.psnr_y
    for text, level in levels.items():
        figure.add_hline(y=level, line_dash="dot", **line)
        figure.add_annotation(x=0.01, xref="paper", xanchor="left", y=level, text=text, **note)
    figure.update_yaxes(autorangeoptions={"include": [bicubic - below, best + room]})
    if budget is not None:
        figure.add_vline(x=budget, line_dash="dash", **line)
        text = f"budget {axis.said(budget)}"
        # at the bottom: at the top are the buttons. Shapes are not in log10, but annotations are
        figure.add_annotation(x=math.log10(budget), xanchor="right", y=0, yref="paper", text=text, **note)


def _students(table: pd.DataFrame, axis: Axis, colour: str) -> dict[str, Any]:
    """The points of a trace, with the texts that are shown when the pointer is on one."""
    return {
        "x": table[axis.key].tolist(),
        "y": scores(table).tolist(),
        "customdata": table["trial"].tolist(),
        "hovertext": [_text(row) for row in rows(table)],
        "hoverinfo": "text",
        "marker": {"size": 10, "color": LIGHT[colour]},
        "line": {"color": LIGHT[colour], "width": 2, "shape": "hv"},
        "meta": {"colour": colour},
    }


def _text(row: dict[str, Any]) -> str:
    """A student in full: scores, costs, config and recipe, two to a line."""
    lines = [
        f"<b>trial {row['trial']}, {escape(row['family'])}: {decibels(row['psnr_y'])} dB</b>, "
        f"SSIM-Y {row['ssim_y']:.4f}",
        _costs(row),
    ]
    if row[TO_TEACHER] is not None:
        lines.append(f"{decibels(row[TO_TEACHER])} dB to its teacher")
    if row["psnr_y_before"] is not None:
        lines.append(
            f"{decibels(row['psnr_y_before'])} dB before it was refined by {quantity(row['refined_steps'], 'step')}"
        )
    if row["plus_minus"] is not None:
        lines.append(f"to the pick: {format_difference(row['to_pick'], row['plus_minus'])} dB")
    for heading in ("config", "recipe"):
        fields = [f"{escape(str(key))} {escape(str(value))}" for key, value in row[heading].items()]
        lines += [
            f"{heading + ': ' if not start else ''}{', '.join(fields[start : start + 3])}"
            for start in range(0, len(fields), 3)
        ]
    return "<br>".join(lines)


def _costs(network: dict[str, Any]) -> str:
    """The costs of a student or a teacher as texts; latencies if they were measured."""
    said = [f"{format_count(network['flops'])} FLOPs", f"{format_count(network['params'])} parameters"]
    for heading, column in LATENCIES.items():
        if network.get(column) is not None:
            said.append(f"{format_milliseconds(network[column])} {heading}")
    return ", ".join(said)
