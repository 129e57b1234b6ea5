"""Learning curves: PSNR-Y over training steps, of the search's training and of the pieces of refinement after it."""

from __future__ import annotations

from collections.abc import Iterator

import plotly.graph_objects as go

from autocompress.evaluation.scores import score_of
from autocompress.report.report_data import ReportData
from autocompress.report.theme import LIGHT
from autocompress.search.run.student import StoredStudent


def learning_figure(report: ReportData) -> dict[str, go.Figure]:
    """The figure `learning`, with a line for each student of the front; none where no scores on the way are known."""
    figure = go.Figure()
    usual = report.config.search.recipe["steps"]
    for trial in report.front["trial"]:
        student = report.stored[trial]
        points = list(learning_curve(student, student.provenance.recipe.get("steps", usual)))
        if len(points) < 2:
            continue
        texts = [f"trial {trial}: {psnr:.2f} dB after {step} steps{what}" for step, psnr, what in points]
        colour = "pick" if report.pick is not None and report.pick["trial"] == trial else "front"
        figure.add_scatter(
            x=[step for step, _, _ in points],
            y=[psnr for _, psnr, _ in points],
            mode="lines+markers",
            name=f"trial {trial}",
            hovertext=texts,
            hoverinfo="text",
            line={"color": LIGHT[colour], "width": 1.5},
            marker={"size": 6, "color": LIGHT[colour]},
            meta={"colour": colour},
        )
    if not figure.data:
        return {}
    figure.update_xaxes(type="log", title="training steps", zeroline=False, gridcolor=LIGHT["line"])
    figure.update_yaxes(title="PSNR-Y in dB", zeroline=False, gridcolor=LIGHT["line"])
    figure.update_layout(template="none", margin={"l": 56, "r": 16, "t": 16, "b": 48}, showlegend=False)
    return {"learning": figure}


def learning_curve(student: StoredStudent, own_steps: int) -> Iterator[tuple[int, float, str]]:
    """Steps in all, PSNR-Y in dB there, and for people what of: of the rungs, the end, and of each piece.

    A piece begins from the best weights so far; one that was not kept is a point below the line of the others.
    """
    for step, psnr in sorted((student.provenance.scores or {}).items()):
        if step > 0:
            yield step, psnr, ""
    yield own_steps, score_of(student.judged), ", as the search judged it"
    done = own_steps
    for number, piece in enumerate(student.provenance.refinements, 1):
        for step, psnr in sorted(piece.scores.items()):
            yield done + step, psnr, f", in piece {number} of its refinement"
        done += piece.steps
        yield done, piece.psnr_y, f", by piece {number} of its refinement{'' if piece.kept else ' (not kept)'}"
