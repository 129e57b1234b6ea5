"""How a front grew: its hypervolume over the trials and over time."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from autocompress.report.report_data import ReportData
from autocompress.report.theme import LIGHT
from autocompress.search.pareto import Point, ReferencePoint, hypervolume
from autocompress.units import format_duration

UNITS = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
FEW = 3  # units of time: below this many, the next smaller unit is used


def growth_figures(report: ReportData) -> dict[str, go.Figure]:
    """Figures of the hypervolume after each ended trial, over `trials` and over `time`; none without the study.

    It is in log10 cost times dB, from the teacher's cost and bicubic's PSNR-Y. Time includes pauses of the search.
    """
    over = [trial for trial in report.over if trial.datetime_complete is not None]
    if not over:
        return {}
    volumes, seconds = _volumes(report, over), _seconds(report, over)
    unit, length = next(((u, s) for u, s in UNITS.items() if seconds[-1] >= FEW * s), ("seconds", 1.0))
    texts = [
        f"{volume:.3f} after {count} trials, {format_duration(second)}"
        for count, (volume, second) in enumerate(zip(volumes, seconds, strict=True))
    ]
    return {
        "trials": _figure(list(range(len(volumes))), volumes, texts, "trials that ended"),
        "time": _figure([second / length for second in seconds], volumes, texts, f"{unit} since the search began"),
    }


def _volumes(report: ReportData, over: list[FrozenTrial]) -> list[float]:
    """The hypervolume before any trial, and after each."""
    reference = ReferencePoint(getattr(report.references.teacher, report.axis.key), report.references.bicubic.psnr_y)
    points, volumes = list[Point](), [0.0]
    for trial in over:
        if trial.state == TrialState.COMPLETE:
            points.append(Point(trial.number, trial.values[0], trial.values[1]))
        volumes.append(hypervolume(points, reference))
    return volumes


def _seconds(report: ReportData, over: list[FrozenTrial]) -> list[float]:
    """When each trial ended, in seconds since the search began: since its first session, or its first trial."""
    begun = [trial.datetime_start.timestamp() for trial in report.trials if trial.datetime_start is not None]
    start = min([*begun, *(session.started for session in report.run.times)])
    return [0.0, *(trial.datetime_complete.timestamp() - start for trial in over if trial.datetime_complete)]


def _figure(x: list[Any], volumes: list[float], texts: list[str], title: str) -> go.Figure:
    figure = go.Figure()
    line = {"shape": "hv", "color": LIGHT["front"], "width": 2}
    figure.add_scatter(
        x=x, y=volumes, mode="lines", line=line, hovertext=texts, hoverinfo="text", meta={"colour": "front"}
    )
    figure.update_xaxes(title=title, zeroline=False)
    figure.update_yaxes(title="hypervolume", rangemode="tozero", zeroline=False)
    figure.update_layout(template="none", margin={"l": 56, "r": 16, "t": 16, "b": 48}, showlegend=False)
    return figure
