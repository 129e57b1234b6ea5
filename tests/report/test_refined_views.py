"""A refined run as people see it: before and after, in the table, the report, the status and the dashboard."""

import shutil
from pathlib import Path

import optuna
import pytest
from helpers.small_search import FinishedSearch
from optuna_dashboard import get_note

from autocompress import search
from autocompress.cli.tables import front_table
from autocompress.report import ReportData, write_report
from autocompress.report.course import growth_figures
from autocompress.report.learning import learning_curve, learning_figure
from autocompress.search import RunFolder, SearchCallback
from autocompress.search.results.front import pareto, rows, students
from autocompress.search.results.rows import as_json, front_rows
from autocompress.search.results.status import status
from autocompress.search.run.student import StoredStudent


@pytest.fixture(scope="module")
def refined(finished: FinishedSearch, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("refined") / "run"
    shutil.copytree(finished[0].path, folder)
    search.refine(folder, SearchCallback(), 30)
    return RunFolder(folder)


@pytest.fixture
def better(refined: RunFolder) -> StoredStudent:
    """A student of the front that refining made better."""
    front = set(pareto(refined)["trial"])
    return next(each for each in refined.students() if each.trial in front and each.metrics != each.judged)


def test_the_table_has_before_and_after(refined: RunFolder, better: StoredStudent, finished: FinishedSearch) -> None:
    front = pareto(refined)
    row = front[front["trial"] == better.trial].iloc[0]
    assert row["psnr_y"] == better.metrics["psnr_y"]
    assert row["psnr_y_before"] == better.judged["psnr_y"] < row["psnr_y"]
    assert row["refined_steps"] == 30
    listed = {student["trial"]: student for student in as_json(refined, rows(front))["students"]}
    assert listed[better.trial]["psnr_y_before"] == better.judged["psnr_y"]
    headings = [str(column.header) for column in front_table(refined, rows(front)).columns]
    assert headings[-3:] == ["before refining", "by refining", "steps more"]
    plain = finished[0]
    assert "by refining" not in [str(column.header) for column in front_table(plain, front_rows(plain)).columns]
    assert not students(plain)["refined_steps"].any()


def test_the_report_has_before_after_and_the_growth(refined: RunFolder, tmp_path: Path) -> None:
    data = ReportData.of(refined)
    page = write_report(data, tmp_path / "report.html").read_text()
    assert '<button type="button">before refining</button>' in page
    assert 'id="figure-learning"' in page
    figures = growth_figures(data)
    kept = sum(piece.kept for student in refined.students() for piece in student.provenance.refinements)
    trials, over_time = figures["trials"].data[0], figures["time"].data[0]
    assert len(over_time.y) == len(trials.y) + kept
    assert list(over_time.y) == sorted(over_time.y)
    assert list(over_time.x) == sorted(over_time.x)


def test_a_learning_curve_has_the_end_and_the_pieces(refined: RunFolder, better: StoredStudent) -> None:
    """A search of so few steps has no rungs."""
    curve = [point for point in learning_curve(better, 4) if point[0] > 0]
    assert [(step, psnr) for step, psnr, _ in curve] == [
        (4, better.judged["psnr_y"]),
        *((4 + done, piece.psnr_y) for done, piece in zip((8, 30), better.provenance.refinements, strict=True)),
    ]
    [figure] = learning_figure(ReportData.of(refined)).values()
    drawn = {trace.name: list(trace.x) for trace in figure.data}
    assert drawn[f"trial {better.trial}"][-3:] == [4, 12, 34]
    bicubic = refined.config.references.bicubic.score  # a start below it is not drawn, and then the end is alone
    started = {each.trial: (each.provenance.scores or {}).get(0, 0.0) >= bicubic for each in refined.students()}
    more = {each.trial for each in refined.students() if each.refined_steps or started[each.trial]}
    assert drawn.keys() == {f"trial {trial}" for trial in more}


def test_the_status_and_the_dashboard_say_it(refined: RunFolder, better: StoredStudent) -> None:
    assert status(refined)["best"]["psnr_y"] == pareto(refined)["psnr_y"].max()
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{refined.database}")
    trial = study.trials[better.trial]
    assert trial.values is not None
    assert trial.values[0] == better.judged["psnr_y"]
    assert "**Refined** by 30 steps" in get_note(optuna.Trial(study, trial._trial_id))
    study._storage.remove_session()
    study._storage._backend.engine.dispose()
