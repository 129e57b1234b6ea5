"""`--score teacher`: PSNR to the teacher's images chooses, and is told beside that to the truth in every view."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.command_line import Call, assert_refused
from helpers.edsr_networks import tiny_edsr
from helpers.small_search import run_search, trials_of

from autocompress.cli.tables import front_table
from autocompress.evaluation.metrics import psnr_y
from autocompress.evaluation.records import MOST_TO_TEACHER, TO_TEACHER
from autocompress.evaluation.scores import network_upscaler
from autocompress.networks import load
from autocompress.networks.edsr.network import EDSR
from autocompress.report import ReportData, front_figure, write_report
from autocompress.search import RunFolder, Settings
from autocompress.search.results.front import pareto, rows, students, write_pareto
from autocompress.search.results.rows import as_json, front_rows, pick
from autocompress.search.run.notes import finished_note
from autocompress.search.run.record import TrialRecord
from autocompress.search.task import open_task
from autocompress.search.trial import preparation, quick_score
from autocompress.search.trial.preparation import prepare


def scaled(factor: float) -> EDSR:
    """The tiny teacher with all its weights multiplied."""
    network = tiny_edsr()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(factor)
    return network


@pytest.fixture
def by_teacher(settings: Callable[..., Settings]) -> RunFolder:
    run, _ = run_search(settings(score="teacher", trials=3))
    write_pareto(run)
    return run


def test_the_study_is_told_psnr_to_the_teacher(by_teacher: RunFolder) -> None:
    values = {trial.number: trial.values[0] for trial in trials_of(by_teacher) if trial.values}
    made = by_teacher.students()
    assert made
    for student in made:
        assert values[student.trial] == student.metrics[TO_TEACHER] == student.score
        assert student.metrics["psnr_y"] != student.metrics[TO_TEACHER]
        by_image = student.psnr_y_to_teacher_by_image
        assert by_image is not None
        assert student.score == pytest.approx(sum(by_image.values()) / len(by_image))


def test_it_is_psnr_between_the_images_of_both(settings: Callable[..., Settings], teacher_file: Path) -> None:
    context = prepare(open_task(settings(score="teacher")))
    teacher = load(teacher_file)
    upscale = network_upscaler(scaled(0.99))
    expected = [
        psnr_y(upscale(pair.lr), network_upscaler(teacher)(pair.lr), border=context.task.scale)
        for pair in context.valid
    ]
    scores = context.score(upscale)
    assert scores.mean[TO_TEACHER] == pytest.approx(sum(expected) / len(expected), abs=1e-6)
    assert context.psnr_y(upscale) == pytest.approx(scores.mean[TO_TEACHER])
    assert context.psnr_y(network_upscaler(teacher)) == MOST_TO_TEACHER  # not infinite


def test_of_large_images_the_nearness_is_estimated(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepare(open_task(settings(score="teacher")))
    monkeypatch.setattr(quick_score, "WORTH_IT", 0)
    monkeypatch.setattr(preparation, "SCORES_FORMAT", -1)  # scored anew
    context = prepare(open_task(settings(score="teacher")))
    assert whole.estimate is None
    assert context.estimate is not None
    upscale = network_upscaler(scaled(0.99))
    assert context.psnr_y(upscale) == pytest.approx(whole.psnr_y(upscale), abs=1.0)
    assert context.psnr_y(network_upscaler(tiny_edsr())) == MOST_TO_TEACHER


def test_every_view_tells_it(by_teacher: RunFolder, tmp_path: Path) -> None:
    front = pareto(by_teacher)
    best = pick(rows(front))
    said = f"{best[TO_TEACHER]:.2f}"
    assert best[TO_TEACHER] == max(front[TO_TEACHER])
    assert TO_TEACHER in (by_teacher.path / "pareto.csv").read_text().splitlines()[0]
    assert as_json(by_teacher, rows(front))["students"][0][TO_TEACHER] is not None
    table = front_table(by_teacher, rows(front))
    assert "to its teacher dB" in [str(column.header) for column in table.columns]
    report = ReportData.of(by_teacher)
    page = write_report(report, tmp_path / "report.html").read_text()
    assert f"<dt>to its teacher</dt><dd>{said}" in page
    figure = front_figure(report)
    assert figure.layout.yaxis.title.text == "PSNR-Y to the teacher, in dB"
    drawn = next(trace for trace in figure.data if trace.name == "front")
    assert list(drawn.y) == list(front[TO_TEACHER])
    student = by_teacher.student(best["trial"])
    assert student is not None
    record = TrialRecord(config="edsr", flops=1, params=1, flops_share=0.1, metrics=student.metrics)
    note = finished_note(record, by_teacher.config.references, None)
    assert f"**{said} dB** to its teacher" in note
    assert "| PSNR-Y to its teacher |" in note


def test_a_run_by_the_truth_has_none_of_it(finished: Any) -> None:
    run = finished[0]
    assert "score" not in run.config.search.to_dict()
    assert students(run)[TO_TEACHER].isna().all()
    headings = [str(column.header) for column in front_table(run, front_rows(run)).columns]
    assert "to its teacher dB" not in headings


@pytest.mark.slow
def test_on_the_command_line(call: Call, here: Path, search_words: list[object]) -> None:
    words = (*search_words, "--score", "teacher", "--out", "run")
    ended = call(*words)
    assert ended.code == 0, ended.err
    assert "dB to its teacher) at" in ended.out
    assert "chosen by   PSNR to" in ended.err
    assert "dB to its teacher at" in call("status", "run").out
    assert TO_TEACHER in json.loads(call("status", "run", "--json").out)["best"]
    assert call("refine", "run", "--steps", "2").code == 0
    other = call(*search_words, "--out", "run")
    assert_refused(other, "score")


def test_several_targets_are_refused(call: Call, here: Path) -> None:
    spaces = ("--space", "edsr", "--space", "swinir")
    refused = call("search", "--budget-flops", "30G", *spaces, "--score", "teacher")
    assert_refused(refused, "edsr-baseline-x2 and from swinir-s-x2; give one --target")
