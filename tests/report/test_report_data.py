"""What a report tells, and what it goes without."""

import copy
import json
import re
import shutil
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from filelock import FileLock
from helpers.browser import OpenPage, column
from helpers.image_scores import give_scores, on_four
from helpers.small_search import FinishedSearch
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState, create_trial
from typer.testing import CliRunner

from autocompress.cli import app
from autocompress.errors import RunError
from autocompress.export.formats import Format, Wanted
from autocompress.report import ReportData, front_figure, write_report
from autocompress.report.course import growth_figures
from autocompress.report.pictures import pictures
from autocompress.search import RunFolder
from autocompress.search.results.export import export_trial
from autocompress.search.results.front import pareto
from autocompress.search.results.importances import importances
from autocompress.search.results.rows import front_rows, pick
from autocompress.search.results.status import status
from autocompress.search.run.sessions import lock_of
from autocompress.search.run.storage import find_storage

TROUBLE = """'"><img src=x onerror=alert(1)></script><b>&amp;"""


def traces(run: RunFolder) -> dict[str, Any]:
    return {trace.name: trace for trace in front_figure(ReportData.of(run)).data}


def page_of(run: RunFolder) -> str:
    html = write_report(ReportData.of(run)).read_text(encoding="utf-8")
    return re.sub(r"<script.*?</script>|<style>.*?</style>", "", html, flags=re.DOTALL)


# --- what there is to tell ---


def test_names_are_text_and_nothing_else(copied: RunFolder, open_page: OpenPage) -> None:
    """Names that no file system has, in every place where a page shows one."""
    content = (copied.path / "config.json").read_text()
    config = json.loads(content)
    config["train"]["name"] = config["valid"]["name"] = TROUBLE
    config["search"]["spaces"] = {TROUBLE: {}}
    for branch in config["branches"].values():
        branch["teacher"]["name"] = TROUBLE
    (copied.path / "config.json").write_text(json.dumps(config))
    index = copied.path / "crops" / "crops.json"
    crops = json.loads(index.read_text())
    crops["psnr_y"][TROUBLE] = crops["psnr_y"].pop(crops["names"][1])
    crops["names"][1] = crops["crops"][0]["image"] = TROUBLE
    index.write_text(json.dumps(crops))
    page = open_page(write_report(ReportData.of(copied)))
    assert page.locator("#left-layer option").nth(2).inner_text() == f"teacher {TROUBLE}"
    assert page.locator("#images-list b").inner_text() == TROUBLE
    page.locator("#left-layer").select_option(index=2)
    assert page.locator("#left-tag").inner_text().startswith(f"teacher {TROUBLE}")
    assert TROUBLE in page.locator(".lead").inner_text()
    assert page.locator("img[src=x]").count() == 0


def test_the_front_and_what_it_is_seen_against(finished: FinishedSearch) -> None:
    run = finished[0]
    drawn, table = traces(run), pareto(run)
    assert list(drawn["front"].x) == table["flops"].tolist()
    assert list(drawn["front"].customdata) == table["trial"].tolist()
    for text, config in zip(drawn["front"].hovertext, table["config"], strict=True):
        assert all(f"{key} {value}" in text for key, value in config.items())
        assert "learning_rate" in text
    notes = [note.text for note in front_figure(ReportData.of(run)).layout.annotations]
    assert any(name.startswith("teacher ") for name in drawn) or any(note.startswith("teacher ") for note in notes)
    assert not any(name.startswith("to download") for name in drawn)


def test_a_teacher_far_away_is_a_line_that_leaves_room_for_students(copied: RunFolder) -> None:
    config = copied.config.to_dict()
    for branch in config["branches"].values():
        branch["teacher"] |= {"flops": 10**15, "psnr_y": 55.0}
    (copied.path / "config.json").write_text(json.dumps(config))
    figure = front_figure(ReportData.of(copied))
    assert max(max(trace.x) for trace in figure.data) < 10**15
    assert "teacher 55.00 dB, 1000T FLOPs" in [note.text for note in figure.layout.annotations]


@pytest.mark.parametrize(
    ("name", "images", "scale", "seen"), [("Set5", 5, 2, 16), ("Set5", 4, 2, 0), ("Set5", 5, 4, 0)]
)
def test_networks_to_download_are_seen_where_the_same_images_scored_them(
    copied: RunFolder, name: str, images: int, scale: int, seen: int
) -> None:
    config = copied.config.to_dict() | {"scale": scale}
    config["valid"] |= {"name": name, "images": images}
    (copied.path / "config.json").write_text(json.dumps(config))
    others = traces(copied).get("to download")
    assert (0 if others is None else len(others.x)) == seen
    if others is not None:
        assert list(others.x) == sorted(others.x)
        assert (others.text[0], others.y[0], others.x[0]) == ("ECBSR-M4C16", 37.17, 2.62e9)
        assert "trained far longer" in page_of(copied)


def test_the_hypervolume_never_falls(copied: RunFolder) -> None:
    config = copied.config.to_dict()
    config["references"]["bicubic"]["psnr_y"] = 1.0  # students of a few steps are worse than the real one
    (copied.path / "config.json").write_text(json.dumps(config))
    for student in copied.path.glob("trials/*/student.json"):
        content = json.loads(student.read_text())
        content["provenance"]["validation"]["bicubic"]["psnr_y"] = 1.0
        student.write_text(json.dumps(content))
    report = ReportData.of(copied)
    figures = growth_figures(report)
    volumes = list(figures["trials"].data[0].y)
    assert len(volumes) == len(report.over) + 1
    assert volumes == sorted(volumes)
    assert volumes[0] == 0 < volumes[-1]
    times = list(figures["time"].data[0].x)
    assert times == sorted(times)
    assert times[-1] <= copied.times[0].total + 1


def test_importances_are_shares_of_each_space(finished: FinishedSearch) -> None:
    trials = ReportData.of(finished[0]).trials
    complete = [trial for trial in trials if trial.values]
    found = importances(complete * 2 if len(complete) < 8 else complete)
    (of_space,) = found
    assert set(of_space.names) == {"num_feat", "num_block", "teacher_share", "learning_rate"}
    assert of_space.count >= 8
    assert sum(of_space.shares.values()) == pytest.approx(1)
    assert importances(complete[:7]) == []


def test_a_space_whose_students_all_score_the_same_has_no_importances(finished: FinishedSearch) -> None:
    trials = [copy.deepcopy(trial) for trial in ReportData.of(finished[0]).trials if trial.values] * 2
    for trial in trials:
        trial.values = [30.0, trial.values[1]]
        trial.user_attrs = {}
    assert importances(trials) == []


def test_a_run_of_an_older_version_without_its_settings(copied: RunFolder, tmp_path: Path) -> None:
    content = json.loads((copied.path / "config.json").read_text())
    del content["settings"]
    (copied.path / "config.json").write_text(json.dumps(content))
    assert re.search(r"<d[td]>\s*\d+ finished", page_of(copied))
    assert {"wanted", "waiting"}.isdisjoint(status(copied)["trials"])
    said = CliRunner().invoke(app, ["status", str(copied.path)])
    assert re.search(r"trials   \d+ finished", said.output)
    (file,) = export_trial(copied, "pick", tmp_path / "out", Wanted((Format.PTH,)))
    assert "Made by" not in file.with_suffix(".md").read_text()


def test_stopped_trials_and_why(copied: RunFolder, open_page: OpenPage) -> None:
    place = find_storage(None, copied)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study = optuna.load_study(study_name=place.study, storage=place.open(copied))
        attributes = {"reason": TROUBLE, "flops": 123456, "psnr_y_at_step_0": 20.5, "psnr_y_at_step_2": 21.5}
        now = datetime.now()
        trial = create_trial(state=TrialState.PRUNED, user_attrs=attributes)
        trial.datetime_start = trial.datetime_complete = now
        study.add_trial(trial)
    stopped = traces(copied)["stopped: last score"]
    assert (stopped.visible, stopped.x[-1], stopped.y[-1]) == ("legendonly", 123456, 21.5)
    assert "after 2 steps" in stopped.hovertext[-1]
    page = open_page(write_report(ReportData.of(copied)))
    page.locator("summary").click()
    assert page.locator("details li").last.inner_text().endswith(f"stopped: {TROUBLE}")
    assert "stopped" in page.locator(".facts").inner_text()


def test_a_run_that_goes_on_says_so(copied: RunFolder) -> None:
    with FileLock(lock_of(copied.path, "somebody")):
        assert "still running" in page_of(copied)
    assert "still running" not in page_of(copied)


# --- what is not there ---


def test_without_crops(copied: RunFolder, open_page: OpenPage) -> None:
    shutil.rmtree(copied.path / "crops")
    assert "kept none" in page_of(copied)
    page = open_page(copied.path / "report.html", 360)
    assert page.locator("#viewer").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.slow
def test_without_a_student_s_crops(copied: RunFolder, open_page: OpenPage) -> None:
    first = pareto(copied)["trial"].iloc[0]
    for file in copied.trial(first).glob("crop-*"):
        file.unlink()
    page = open_page(write_report(ReportData.of(copied)))
    assert f"trial {first}" not in page.locator("#right-layer option").all_inner_texts()
    page.evaluate(f"find('figure-front').emit('plotly_click', {{points: [{{customdata: {first}}}]}})")
    assert page.locator(".chosen").get_attribute("data-trial") == str(first)


@pytest.mark.slow
def test_a_run_of_an_older_version_has_its_pieces_alone(copied: RunFolder, open_page: OpenPage) -> None:
    index = copied.path / "crops" / "crops.json"
    content = json.loads(index.read_text())
    del content["psnr_y"]
    for crop in content["crops"]:
        del crop["image_height"], crop["image_width"]
    index.write_text(json.dumps(content))
    for file in copied.path.rglob("*.webp"):
        file.unlink()
    config = json.loads((copied.path / "config.json").read_text())
    del config["machine"]
    (copied.path / "config.json").write_text(json.dumps(config))
    page = open_page(write_report(ReportData.of(copied)))
    assert page.locator("#right").is_visible()
    assert page.locator("#left-tag").inner_text() == "bicubic"
    assert "not recorded" in page.locator(".facts").inner_text()


def test_what_is_too_large_is_left_out(copied: RunFolder) -> None:
    report = ReportData.of(copied)
    whole = pictures(report)
    assert whole is not None
    assert whole["left_out"] == {"images": 0, "students": 0}
    smaller = pictures(report, limit=1)
    assert smaller is not None
    off = len(report.students) - len(report.front)
    assert smaller["left_out"]["students"] == off > 0
    assert set(smaller["students"]) == {f"trial {trial}" for trial in report.front["trial"]}


@pytest.mark.parametrize("storage", [None, "sqlite:////not/there/study.db", "postgresql://me:***@nowhere/studies"])
def test_without_the_study(copied: RunFolder, open_page: OpenPage, storage: str | None) -> None:
    copied.database.unlink()
    config = copied.config.to_dict() | {"storage": {"url": storage, "study": "autocompress"}}
    (copied.path / "config.json").write_text(json.dumps(config))
    text = page_of(copied)
    assert text.count("for want of the study: ") == 3
    assert 'id="figure-front"' in text
    assert 'class="still"' in text
    assert 'id="figure-trials"' not in text
    if storage is None:  # the others differ from it in what they say only
        assert open_page(copied.path / "report.html").locator("#figure-trials").count() == 0


@pytest.mark.slow
def test_with_one_student(copied: RunFolder, open_page: OpenPage) -> None:
    for folder in sorted((copied.path / "trials").glob("*/student.json"))[1:]:
        folder.unlink()
    page = open_page(write_report(ReportData.of(copied)))
    assert len(column(page, 0)) == 1
    assert page.locator("#right-layer optgroup").last.locator("option").count() == 1


@pytest.mark.slow
def test_with_all_students_over_the_budget(copied: RunFolder, open_page: OpenPage) -> None:
    config = copied.config.to_dict()
    config["search"]["budget"] = {"flops": None, "params": 1}
    (copied.path / "config.json").write_text(json.dumps(config))
    page = open_page(write_report(ReportData.of(copied)))
    assert "No student is within the budget" in page.locator("main").inner_text()


def test_with_no_student_there_is_no_report(copied: RunFolder) -> None:
    shutil.rmtree(copied.path / "trials")
    with pytest.raises(RunError, match=r"the students of \d+ finished trials .* are gone from trials/"):
        ReportData.of(copied)


# --- intervals ---


def test_the_front_has_bars_and_the_pick_says_what_is_as_good(copied: RunFolder, open_page: OpenPage) -> None:
    best = pick(front_rows(copied))["psnr_y"]
    give_scores(copied, lambda psnr: on_four(psnr, noise=20.0 * (psnr < best)))
    table = pareto(copied)
    front = traces(copied)["front"]
    assert list(front.error_y.array)[:-1] == table["plus_minus"].tolist()[:-1]
    assert front.error_y.array[-1] == 0
    assert set(front.error_y.arrayminus) == {0}
    row = table.iloc[0]
    assert f"to the pick: {row['to_pick']:+.2f} ± {row['plus_minus']:.2f} dB" in front.hovertext[0]
    page = open_page(write_report(ReportData.of(copied)))
    assert f"trial {row['trial']} (edsr" in page.locator("#as-good").inner_text()
    assert "where that reaches up to the pick" in page.locator("main").inner_text()
    shown = page.locator(f"tr[data-trial='{row['trial']}']").inner_text()
    assert f"{row['to_pick']:+.2f} ± {row['plus_minus']:.2f}" in shown


def test_without_intervals_the_page_says_why(finished: FinishedSearch, copied: RunFolder) -> None:
    assert "rests on one validation image" in page_of(finished[0])
    give_scores(copied, lambda _: None)
    text = page_of(copied)
    assert "did not keep scores by image" in text
    assert 'id="as-good"' not in text
    assert traces(copied)["front"].error_y.array is None
