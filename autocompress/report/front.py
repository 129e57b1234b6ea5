"""The picture of a front: PSNR-Y over FLOPs or latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from autocompress.evaluation.scores import TO_TEACHER, score_of
from autocompress.networks import FAMILIES
from autocompress.networks.downloadable import downloadable
from autocompress.report.axis import Axis
from autocompress.report.report_data import ReportData
from autocompress.report.theme import LIGHT
from autocompress.search.results.front import LATENCIES, format_difference, rows, scores
from autocompress.units import format_count, format_milliseconds

SET5 = "Set5"  # its key in downloadable.json, and the name of its folder, which a run calls its images by


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
        figure.add_scatter(mode="markers", name="dominated", opacity=0.5, **_students(others, axis, "other"))
    figure.add_scatter(mode="lines+markers", name="front", **_students(report.front, axis, "front"))
    up = report.front["plus_minus"].fillna(0).tolist()
    if any(up):
        figure.data[-1].update(error_y={"array": up, "arrayminus": [0] * len(up), "thickness": 1.5, "width": 4})
    if report.pick is not None:
        star = {"size": 17, "symbol": "star", "color": LIGHT["pick"]}
        x, y = [report.pick[axis.key]], [score_of(report.pick)]
        _draw(figure, f"pick: trial {report.pick['trial']}", x, y, "pick", star)
        figure.data[-1].update(customdata=[report.pick["trial"]], hovertext=[_text(report.pick)])
    for name, teacher in report.teachers.items() if not report.by_teacher else ():  # it is infinitely near to itself
        diamond = {"size": 12, "symbol": "diamond", "color": LIGHT["teacher"]}
        _draw(figure, f"teacher {escape(name)}", [getattr(teacher, axis.key)], [teacher.psnr_y], "teacher", diamond)
        text = f"teacher {escape(name)}: {teacher.psnr_y:.2f} dB<br>{_costs(teacher.to_dict())}"
        figure.data[-1].update(hovertext=[text])
    if report.has_published:
        _draw_published(figure)
        draw_downloadable(figure, shown=report.config.valid.name == SET5)
    _draw_limits(figure, report)
    lay_out(figure, axis, "PSNR-Y to the teacher, in dB" if report.by_teacher else "PSNR-Y in dB")
    return figure


def lay_out(figure: go.Figure, axis: Axis, score: str) -> None:
    """Give a figure of scores over costs its axes, fonts and legend; `score` is the title of the vertical one."""
    ticks = [digit * 10**power for power in axis.decades for digit in (1, 2, 5)]
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[axis.form(tick) for tick in ticks], tickangle=0)
    figure.update_xaxes(title=axis.title, gridcolor=LIGHT["line"], zeroline=False)
    figure.update_yaxes(title=score, gridcolor=LIGHT["line"], zeroline=False)
    figure.update_layout(
        template="none",
        font={"color": LIGHT["text"]},
        legend={"orientation": "h", "y": -0.18, "yanchor": "top", "x": 0},
        margin={"l": 60, "r": 16, "t": 30, "b": 48},
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
        f"trial {point.trial}, stopped: {point.psnr:.2f} dB "
        + (f"after {step} steps" if step else "before training")
        + f"<br>{report.axis.said(point.cost)}"
        for step, point in report.last_scores
    ]
    figure.data[-1].update(visible="legendonly", hovertext=texts)


def _draw_published(figure: go.Figure) -> None:
    """Draw published results, hidden at first: of full trainings on DIV2K, scored on other images than the run's."""
    marker = {"size": 11, "symbol": "square-open", "color": LIGHT["published"], "line": {"width": 2}}
    results = (result for family in FAMILIES.values() for result in family.published.items())
    published = dict(sorted(results, key=lambda result: result[1].flops))
    x, y = [result.flops for result in published.values()], [result.psnr_y for result in published.values()]
    _draw(figure, "published, on Set5 and Set14", x, y, "published", marker)
    texts = [
        f"{name}, as published: {psnr:.2f} dB, {format_count(flops)} FLOPs<br>"
        "mean PSNR-Y of Set5 and Set14, x2, full training on DIV2K"
        for name, (flops, psnr) in published.items()
    ]
    figure.data[-1].update(
        visible="legendonly", hovertext=texts, mode="markers+text", text=list(published), textposition="bottom center"
    )


def draw_downloadable(figure: go.Figure, shown: bool) -> None:
    """Draw networks that can be downloaded, as they scored on Set5; unless they are shown, the legend has them alone.

    They were trained far longer than students of a search, each on other images.
    """
    marker = {"size": 10, "symbol": "triangle-up-open", "color": LIGHT["published"], "line": {"width": 2}}
    networks = [network for network in downloadable() if SET5 in network.psnr_y]
    x, y = [network.flops for network in networks], [network.psnr_y[SET5] for network in networks]
    _draw(figure, "to download, on Set5", x, y, "published", marker)
    texts = [
        f"{escape(network.name)}: {network.psnr_y[SET5]:.2f} dB on Set5, x2, by our evaluation<br>"
        f"{format_count(network.flops)} FLOPs, {format_count(network.params)} parameters<br>{escape(network.source)}"
        for network in networks
    ]
    names = [network.name for network in networks]
    figure.data[-1].update(hovertext=texts, mode="markers+text", text=names, textposition="top center")
    if not shown:
        figure.data[-1].update(visible="legendonly")


def _draw_limits(figure: go.Figure, report: ReportData) -> None:
    """Draw lines for bicubic, with a little room below it, and for the budget."""
    axis, bicubic = report.axis, report.references.bicubic.score
    budget = getattr(report.config.search.budget, axis.budget)
    best = scores(report.students).max() if report.by_teacher else report.references.teacher.psnr_y
    below = 0.05 * (best - bicubic)
    line = {"line_width": 1.5, "line_color": LIGHT["muted"]}
    figure.add_hline(y=bicubic, line_dash="dot", **line)
    note = {"showarrow": False, "yanchor": "bottom"}
    figure.add_annotation(x=1, xref="paper", xanchor="right", y=bicubic, text=f"bicubic {bicubic:.2f} dB", **note)
    figure.update_yaxes(autorangeoptions={"include": [bicubic - below]})
    if budget is not None:
        figure.add_vline(x=budget, line_dash="dash", **line)
        text = f"budget {axis.said(budget)}"
        figure.add_annotation(x=math.log10(budget), y=1, yref="paper", text=text, **note)  # shapes are not in log10


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
        f"<b>trial {row['trial']}, {escape(row['family'])}: {row['psnr_y']:.2f} dB</b>, SSIM-Y {row['ssim_y']:.4f}",
        _costs(row),
    ]
    if row[TO_TEACHER] is not None:
        lines.append(f"{row[TO_TEACHER]:.2f} dB to its teacher")
    if row["psnr_y_before"] is not None:
        lines.append(f"{row['psnr_y_before']:.2f} dB before it was refined by {row['refined_steps']} steps")
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
