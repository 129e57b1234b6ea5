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
from autocompress.networks.downloadable import downloadable
from autocompress.report import ReportData, front_figure, write_report
from autocompress.report.course import growth_figures
from autocompress.search import RunFolder
from autocompress.search.results.export import export_trial
from autocompress.search.results.front import pareto, pick
from autocompress.search.results.importances import importances
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
    crops["names"][1] = crops["crops"][0]["image"] = TROUBLE
    index.write_text(json.dumps(crops))
    page = open_page(write_report(ReportData.of(copied)))
    assert page.locator("#others button").nth(1).inner_text() == f"teacher {TROUBLE}"
    assert page.locator("#crops button").inner_text() == TROUBLE
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
    (published,) = (trace for name, trace in drawn.items() if name.startswith("published"))
    assert published.visible == "legendonly"
    assert list(published.text) == ["EDSRmini", "SwinIRmini", "SwinIR-S", "EDSR-baseline"]
    assert any(name.startswith("teacher ") for name in drawn)
    others = drawn["to download, on Set5"]
    assert others.visible == "legendonly"
    assert list(others.x) == sorted(others.x)
    assert (others.text[0], others.y[0], others.x[0]) == ("ECBSR-M4C16", 37.17, 2.62e9)
    assert len(others.hovertext) == len(downloadable())


def test_networks_to_download_are_seen_at_once_where_the_run_was_scored_on_set5(copied: RunFolder) -> None:
    config = copied.config.to_dict()
    config["valid"]["name"] = "Set5"
    (copied.path / "config.json").write_text(json.dumps(config))
    assert traces(copied)["to download, on Set5"].visible is None


def test_published_points_are_of_x2_alone(copied: RunFolder) -> None:
    config = copied.config.to_dict() | {"scale": 4}
    (copied.path / "config.json").write_text(json.dumps(config))
    assert not any(name.startswith(("published", "to download")) for name in traces(copied))


def test_the_hypervolume_never_falls(copied: RunFolder) -> None:
    config = copied.config.to_dict()
    config["references"]["bicubic"]["psnr_y"] = 1.0  # students of a few steps are worse than the real one
    (copied.path / "config.json").write_text(json.dumps(config))
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
    assert re.search(r"<d[td]>\s*\d+: \d+ finished", page_of(copied))
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
    assert page.locator("#comparison").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_a_student_s_crops(copied: RunFolder, open_page: OpenPage) -> None:
    first = pareto(copied)["trial"].iloc[0]
    for file in copied.trial(first).glob("crop-*.png"):
        file.unlink()
    page = open_page(write_report(ReportData.of(copied)))
    page.locator("#student").select_option(str(first))
    assert page.locator(".missing").is_visible()
    assert not page.locator("#right").is_visible()


@pytest.mark.parametrize("storage", [None, "sqlite:////not/there/study.db", "postgresql://me:***@nowhere/studies"])
def test_without_the_study(copied: RunFolder, open_page: OpenPage, storage: str | None) -> None:
    copied.database.unlink()
    config = copied.config.to_dict() | {"storage": {"url": storage, "study": "autocompress"}}
    (copied.path / "config.json").write_text(json.dumps(config))
    text = page_of(copied)
    assert text.count("for want of the study: ") == 3
    assert 'id="figure-front"' in text
    assert 'id="figure-trials"' not in text
    if storage is None:  # the others differ from it in what they say only
        assert open_page(copied.path / "report.html").locator("#figure-trials").count() == 0


def test_with_one_student(copied: RunFolder, open_page: OpenPage) -> None:
    for folder in sorted((copied.path / "trials").glob("*/student.json"))[1:]:
        folder.unlink()
    page = open_page(write_report(ReportData.of(copied)))
    assert len(column(page, 0)) == 1
    assert page.locator("#student option").count() == 1


def test_with_all_students_over_the_budget(copied: RunFolder, open_page: OpenPage) -> None:
    config = copied.config.to_dict()
    config["search"]["budget"] = {"flops": None, "params": 1}
    (copied.path / "config.json").write_text(json.dumps(config))
    page = open_page(write_report(ReportData.of(copied)))
    assert "No student is within the budget" in page.locator("main").inner_text()


def test_with_no_student_there_is_no_report(copied: RunFolder) -> None:
    shutil.rmtree(copied.path / "trials")
    with pytest.raises(RunError, match="no trial has finished yet"):
        ReportData.of(copied)


# --- intervals ---


def test_the_front_has_bars_and_the_pick_says_what_is_as_good(copied: RunFolder, open_page: OpenPage) -> None:
    best = pick(pareto(copied))["psnr_y"]
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
