"""Learning curves: PSNR-Y over training steps, of a run's students, and of a single training as a page of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import plotly.graph_objects as go

from autocompress.evaluation.records import score_of
from autocompress.report.figure_page import write_figure
from autocompress.report.figures import LIGHT, lay_out
from autocompress.report.report_data import ReportData
from autocompress.search.run.record import scores_at_rungs
from autocompress.search.run.student import StoredStudent
from autocompress.units import decibels, quantity

Curve = Sequence[tuple[int, float, str]]  # steps in all, PSNR-Y in dB there, and for people what else is to say


def learning_figure(report: ReportData) -> dict[str, go.Figure]:
    """The figure `learning`, with a line for each trial that trained; none where no scores on the way are known."""
    figure = go.Figure()
    usual, start = report.config.search.recipe["steps"], report.references.bicubic.score
    front = set(report.front["trial"])
    curves = {trial.number: _stopped_curve(scores_at_rungs(trial)) for trial in report.stopped}
    for number, student in report.stored.items():
        curves[number] = list(learning_curve(student, student.provenance.recipe.get("steps", usual)))
    for trial in sorted(curves, key=lambda number: (number in front, number)):  # the front is drawn last, above
        colour = "other" if trial not in front else "front"
        if report.pick is not None and report.pick["trial"] == trial:
            colour = "pick"
        # what is below bicubic before it trains, as random weights are, would leave no room for all else
        shown = [point for point in curves[trial] if point[0] > 0 or point[1] >= start]
        if len(shown) > 1:
            _draw(figure, shown, f"trial {trial}", colour, 1 if colour == "other" else 2)
            figure.data[-1].update(customdata=[trial] * len(shown), meta={"colour": colour, "trial": trial})
    if not figure.data:
        return {}
    lay_out(figure, "training steps", "PSNR-Y in dB")
    return {"learning": figure}


def learning_curve(student: StoredStudent, own_steps: int) -> Iterator[tuple[int, float, str]]:
    """The curve of a student: before training, of the rungs, the end, and of each piece of its refinement.

    A piece begins from the best weights so far; one that was not kept is a point below the line of the others.
    """
    for step, psnr in sorted((student.provenance.scores or {}).items()):
        yield step, psnr, ""
    yield own_steps, score_of(student.judged), ", as the search judged it"
    done = own_steps
    for number, piece in enumerate(student.provenance.refinements, 1):
        for step, psnr in sorted(piece.scores.items()):
            yield done + step, psnr, f", in piece {number} of its refinement"
        done += piece.steps
        yield done, piece.psnr_y, f", by piece {number} of its refinement{'' if piece.kept else ' (not kept)'}"


def _stopped_curve(scores: dict[int, float]) -> Curve:
    points = sorted(scores.items())
    return [(step, psnr, ", where it was stopped" * (step == points[-1][0])) for step, psnr in points]


def curve_figure(points: Sequence[tuple[int, float]]) -> go.Figure:
    """The learning curve of a single training: PSNR-Y in dB over steps."""
    figure = go.Figure()
    _draw(figure, [(step, psnr, "") for step, psnr in points], "", "front", 2)
    lay_out(figure, "training steps", "PSNR-Y in dB")
    return figure


def write_curve(path: Path, points: Sequence[tuple[int, float]], title: str) -> None:
    """Write a page with the learning curve of a single training that needs no network, complete or not at all."""
    lead = "PSNR-Y (more is better) over the steps of the training so far; point at the line for its numbers."
    write_figure(path, curve_figure(points), title, lead)


def _draw(figure: go.Figure, curve: Curve, name: str, colour: str, width: int) -> None:
    prefix = f"{name}: " if name else ""
    figure.add_scatter(
        x=[step for step, _, _ in curve],
        y=[psnr for _, psnr, _ in curve],
        mode="lines+markers",
        name=name,
        hovertext=[f"{prefix}{decibels(psnr)} dB after {quantity(step, 'step')}{what}" for step, psnr, what in curve],
        hoverinfo="text",
        line={"color": LIGHT[colour], "width": width},
        marker={"size": 6, "color": LIGHT[colour]},
        meta={"colour": colour},
    )
