"""How a front grew: its hypervolume over the trials and over time."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from autocompress.report.figures import LIGHT, lay_out
from autocompress.report.report_data import ReportData
from autocompress.search.pareto import Point, ReferencePoint, hypervolume
from autocompress.units import format_duration, quantity

UNITS = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
FEW = 3  # units of time: below this many, the next smaller unit is used


def growth_figures(report: ReportData) -> dict[str, go.Figure]:
    """Figures of the hypervolume after each ended trial, over `trials` and over `time`; none without the study.

    It is in log10 cost times dB, from the teacher's cost and bicubic's PSNR-Y. Time includes pauses of the search; over
    time the pieces of refinement follow, which are no trials.
    """
    over = [trial for trial in report.over if trial.datetime_complete is not None]
    if not over:
        return {}
    volumes, seconds = _volumes(report, over), _seconds(report, over)
    texts = [
        f"{volume:.3f} after {quantity(count, 'trial')}, {format_duration(second)}"
        for count, (volume, second) in enumerate(zip(volumes, seconds, strict=True))
    ]
    trials = _figure(list(range(len(volumes))), volumes, texts, "trials that ended")
    for ended, trial, volume in _refined(report, over):
        seconds.append(ended - _start(report))
        volumes.append(volume)
        texts.append(f"{volume:.3f} after trial {trial} was refined, {format_duration(seconds[-1])}")
    unit, length = next(((u, s) for u, s in UNITS.items() if seconds[-1] >= FEW * s), ("seconds", 1.0))
    times = [second / length for second in seconds]
    return {"trials": trials, "time": _figure(times, volumes, texts, f"{unit} since the search began")}


def _volumes(report: ReportData, over: list[FrozenTrial]) -> list[float]:
    """The hypervolume before any trial, and after each."""
    points, volumes = list[Point](), [0.0]
    for trial in over:
        if trial.state == TrialState.COMPLETE:
            points.append(_point(trial))
        volumes.append(hypervolume(points, _corner(report)))
    return volumes


def _refined(report: ReportData, over: list[FrozenTrial]) -> list[tuple[float, int, float]]:
    """Of each piece that was kept: when it ended (in seconds since 1970), its trial, and the hypervolume then."""
    points = [_point(trial) for trial in over if trial.state == TrialState.COMPLETE]
    pieces = [
        (piece.ended, Point(student.trial, piece.psnr_y, student.cost))
        for student in report.stored.values()
        for piece in student.provenance.refinements
        if piece.kept
    ]
    found = []
    for ended, point in sorted(pieces, key=lambda piece: piece[0]):
        points.append(point)
        found.append((ended, point.trial, hypervolume(points, _corner(report))))
    return found


def _corner(report: ReportData) -> ReferencePoint:
    return ReferencePoint(getattr(report.references.teacher, report.axis.key), report.references.bicubic.score)


def _point(trial: FrozenTrial) -> Point:
    """Of a complete trial."""
    return Point(trial.number, trial.values[0], trial.values[1])


def _seconds(report: ReportData, over: list[FrozenTrial]) -> list[float]:
    """When each trial ended, in seconds since the search began."""
    start = _start(report)
    return [0.0, *(trial.datetime_complete.timestamp() - start for trial in over if trial.datetime_complete)]


def _start(report: ReportData) -> float:
    """When the search began, in seconds since 1970: its first session, or its first trial."""
    begun = [trial.datetime_start.timestamp() for trial in report.trials if trial.datetime_start is not None]
    return min([*begun, *(session.started for session in report.run.times)])


def _figure(x: list[Any], volumes: list[float], texts: list[str], title: str) -> go.Figure:
    figure = go.Figure()
    line = {"shape": "hv", "color": LIGHT["front"], "width": 2}
    figure.add_scatter(
        x=x, y=volumes, mode="lines", line=line, hovertext=texts, hoverinfo="text", meta={"colour": "front"}
    )
    lay_out(figure, title, "hypervolume")
    figure.update_yaxes(rangemode="tozero")
    return figure
