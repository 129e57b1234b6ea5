"""The intervals of a run: in its front, pick, files and tables."""

import csv
import json

import pytest
from helpers.command_line import Call
from helpers.image_scores import give_scores, on_four
from helpers.small_search import FinishedSearch

from autocompress.evaluation.intervals import paired
from autocompress.report import ReportData, write_report
from autocompress.search import RunFolder
from autocompress.search.results.front import pareto, rows, write_pareto
from autocompress.search.results.intervals import TYPICAL_SPREAD, Intervals
from autocompress.search.results.rows import as_good, front_rows, note_of_pick, pick


def intervals_of(run: RunFolder) -> Intervals:
    return Intervals.of(run, run.students())


@pytest.fixture
def noisy(copied: RunFolder) -> RunFolder:
    """A run whose students differ less than their scores vary over four images."""
    best = pick(front_rows(copied))["psnr_y"]
    give_scores(copied, lambda psnr: on_four(psnr, noise=20.0 * (psnr < best)))
    return copied


@pytest.fixture
def clear(copied: RunFolder) -> RunFolder:
    """A run whose students differ alike on four images."""
    give_scores(copied, on_four)
    return copied


def test_a_student_keeps_its_score_on_each_image(finished: FinishedSearch) -> None:
    for student in finished[0].students():
        assert student.psnr_y_by_image is not None
        assert len(student.psnr_y_by_image) == finished[0].config.valid.images
        mean = sum(student.psnr_y_by_image.values()) / len(student.psnr_y_by_image)
        assert mean == pytest.approx(student.metrics["psnr_y"])


def test_the_differences_are_those_to_the_pick(noisy: RunFolder) -> None:
    table = pareto(noisy)
    best = pick(rows(table))
    scores = {student.trial: student.psnr_y_by_image for student in noisy.students()}
    assert len(table) > 1
    for _, row in table.iterrows():
        assert row["to_pick"] == pytest.approx(row["psnr_y"] - best["psnr_y"])
        if row["trial"] == best["trial"]:
            assert row["to_pick"] == 0
            continue
        interval = paired(scores[row["trial"]] or {}, scores[best["trial"]] or {}, TYPICAL_SPREAD)
        assert interval is not None
        assert (row["to_pick"], row["plus_minus"]) == pytest.approx((interval.difference, interval.plus_minus))
    assert best["plus_minus"] is None


def test_the_pick_says_which_cheaper_students_are_as_good(noisy: RunFolder) -> None:
    table = pareto(noisy)
    equals = as_good(rows(table))
    assert [row["trial"] for row in equals] == table["trial"].tolist()[:-1]
    said = note_of_pick(rows(table)) or ""
    assert said.startswith(f"trial {equals[0]['trial']} (edsr num_feat=")
    assert f"cannot be told apart from it: {equals[0]['to_pick']:+.2f} ± {equals[0]['plus_minus']:.2f} dB" in said
    assert ("; nor can" in said) == (len(equals) > 1)


def test_a_pick_that_is_clearly_better_says_nothing(clear: RunFolder) -> None:
    table = pareto(clear)
    seeds_only = table["plus_minus"].dropna().iloc[0]
    told_apart = table["to_pick"].abs() > seeds_only
    assert [row["trial"] for row in as_good(rows(table))] == table["trial"][~told_apart].tolist()[:-1]
    assert 2 * TYPICAL_SPREAD.sd < seeds_only < 4 * TYPICAL_SPREAD.sd


def test_the_files_hold_the_intervals(noisy: RunFolder) -> None:
    table = write_pareto(noisy)
    with (noisy.path / "pareto.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["to_pick"]) for row in rows] == table["to_pick"].tolist()
    assert [row["plus_minus"] for row in rows][-1] == ""
    assert [float(row["plus_minus"]) for row in rows[:-1]] == table["plus_minus"].tolist()[:-1]
    content = json.loads((noisy.path / "pareto.json").read_text())
    assert content["as_good"] == table["trial"].tolist()[:-1]
    about = content["intervals"]
    assert (about["level"], about["images"]) == (0.95, 4)
    assert (about["seeds_sd"], about["seeds_measured_here"], about["repeats"]) == (TYPICAL_SPREAD.sd, False, {})


def test_the_table_shows_them(noisy: RunFolder, call: Call) -> None:
    said = call("pareto", noisy.path)
    row = pareto(noisy).iloc[0]
    assert f"{row['to_pick']:+.2f} ± {row['plus_minus']:.2f}" in said.out
    assert "As good as the pick: trial" in said.out
    assert "± is the 95% interval of the difference to the pick: over 4 validation images" in said.out
    assert "typical of EDSR students" in said.out


def test_one_image_gives_none_and_that_is_said(finished: FinishedSearch, call: Call) -> None:
    table = pareto(finished[0])
    assert table["plus_minus"].isna().all()
    assert as_good(rows(table)) == []
    assert "No ±: the choice rests on one validation image" in call("pareto", finished[0].path).out
    assert json.loads(call("pareto", finished[0].path, "--json").out)["students"][0]["plus_minus"] is None


def test_few_images_are_said(noisy: RunFolder, call: Call) -> None:
    few = "All choices rest on these"
    assert few not in call("pareto", noisy.path).out
    config = noisy.config.to_dict()
    config["valid"]["images"] = 3
    (noisy.path / "config.json").write_text(json.dumps(config))
    assert f"{few} 3; more (--val)" in call("pareto", noisy.path).out
    assert f"{few} 3; more (--val)" in write_report(ReportData.of(noisy)).read_text(encoding="utf-8")


def test_students_of_older_versions_have_none_and_that_is_said(copied: RunFolder, call: Call) -> None:
    give_scores(copied, lambda _: None)
    table = write_pareto(copied)
    assert table["plus_minus"].isna().all()
    assert table["to_pick"].notna().all()
    said = call("pareto", copied.path).out
    assert "did not keep scores by image" in said
    assert " ± " not in said


def test_students_of_older_versions_beside_new_ones(noisy: RunFolder) -> None:
    first = pareto(noisy)["trial"].iloc[0]
    file = noisy.trial(first) / "student.json"
    content = json.loads(file.read_text())
    del content["psnr_y_by_image"]
    file.write_text(json.dumps(content))
    table = pareto(noisy)
    assert table["plus_minus"].isna().tolist() == [True, *[False] * (len(table) - 2), True]
    assert first not in [row["trial"] for row in as_good(rows(table))]
    assert "± is the 95% interval" in intervals_of(noisy).note
