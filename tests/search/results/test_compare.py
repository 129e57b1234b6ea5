"""Several runs beside each other, on the terminal and as a page."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.browser import FRONT, OpenPage
from helpers.command_line import Call, assert_refused
from helpers.image_scores import give_scores, on_four

from autocompress.errors import InvalidInput
from autocompress.report import write_comparison
from autocompress.search import RunFolder
from autocompress.search.results.compare import Comparison
from autocompress.search.results.front import pareto

GAIN = 0.5  # dB


@pytest.fixture
def better(copied: RunFolder, tmp_path: Path) -> RunFolder:
    """The same run as `copied`, but that all its students are better by GAIN, and that its seed is another."""
    give_scores(copied, on_four)
    shutil.copytree(copied.path, tmp_path / "better")
    for file in (tmp_path / "better" / "trials").glob("*/student.json"):
        content = json.loads(file.read_text())
        content["metrics"]["psnr_y"] += GAIN
        content["psnr_y_by_image"] = on_four(content["metrics"]["psnr_y"])
        file.write_text(json.dumps(content))
    for file in (tmp_path / "better").glob("study.db*"):
        file.unlink()  # it has the scores before
    change(RunFolder(tmp_path / "better"), "search", "seed", 7)
    return RunFolder(tmp_path / "better")


def change(run: RunFolder, part: str, key: str, value: object) -> None:
    config = json.loads((run.path / "config.json").read_text())
    config[part][key] = value
    (run.path / "config.json").write_text(json.dumps(config))


def test_differences_at_equal_cost(copied: RunFolder, better: RunFolder) -> None:
    found = Comparison.of([copied, better])
    front = pareto(copied)
    assert found.levels[-1].cost == front["flops"].max()
    for level in found.levels:
        inside = front[front["flops"] <= level.cost]
        assert [row and row["trial"] for row in level.best] == [inside["trial"].iloc[-1]] * 2
        first, second = level.differences
        assert first is None
        assert second is not None
        assert second.decibels == pytest.approx(GAIN)
        assert second.plus_minus == pytest.approx(0.05, abs=0.01)  # of the seeds: images differ alike
        assert second.told_apart
    assert found.hypervolumes[1] > found.hypervolumes[0]
    assert found.settings["seed"] == ["0", "7"]
    assert "steps" not in found.settings


def test_what_cannot_be_told_apart(copied: RunFolder, better: RunFolder) -> None:
    give_scores(better, lambda psnr: on_four(psnr, noise=20.0))
    last = Comparison.of([copied, better]).levels[-1].differences[1]
    assert last is not None
    assert not last.told_apart
    give_scores(better, lambda _: None)
    change(better, "valid", "images", 4)
    last = Comparison.of([copied, better]).levels[-1].differences[1]
    assert last is not None
    assert last.plus_minus is None


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("search", "valid", "0123", "scored on 4 images of .*, but 4 images of .* in .*; give runs of the same images"),
        ("search", "objective", "latency", "PSNR is weighed against latency, but flops"),
        ("search", "score", "teacher", "chosen by PSNR to teacher, but truth"),
    ],
)
def test_runs_that_were_judged_otherwise(
    copied: RunFolder, better: RunFolder, part: str, key: str, value: str, said: str
) -> None:
    change(better, part, key, value)
    with pytest.raises(InvalidInput, match=said):
        Comparison.of([copied, better])


def test_one_run_or_the_same_twice(copied: RunFolder) -> None:
    with pytest.raises(InvalidInput, match="only 1 run is given"):
        Comparison.of([copied])
    with pytest.raises(InvalidInput, match="is given twice"):
        Comparison.of([copied, copied])


def test_names_are_told_apart(copied: RunFolder, better: RunFolder, tmp_path: Path) -> None:
    shutil.move(better.path, tmp_path / "other" / copied.path.name)
    found = Comparison.of([copied, RunFolder(tmp_path / "other" / copied.path.name)])
    name = copied.path.name
    assert [one.name for one in found.runs] == [f"{copied.path.parent.name}/{name}", f"other/{name}"]


def test_on_the_command_line(call: Call, copied: RunFolder, better: RunFolder, tmp_path: Path) -> None:
    ended = call("compare", copied.path, better.path, "--out", tmp_path / "both.html")
    assert ended.code == 0, ended.err
    assert f"+{GAIN:.2f} ± 0.05" in ended.out
    assert "hypervolume" in ended.out
    assert ended.out.splitlines()[-1] == str(tmp_path / "both.html")
    told = json.loads(call("compare", copied.path, better.path, "--json").out)
    assert [run["name"] for run in told["runs"]] == [copied.path.name, "better"]
    assert told["levels"][-1]["differences"][1]["dB"] == pytest.approx(GAIN)
    assert_refused(call("compare", copied.path), "only 1 run is given")


def test_the_page(copied: RunFolder, better: RunFolder, tmp_path: Path, open_page: OpenPage) -> None:
    page = open_page(write_comparison(Comparison.of([copied, better]), tmp_path / "both.html"), 360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    names = page.evaluate(f"{FRONT}.data.map((trace) => trace.name)")
    assert names == [copied.path.name, "better"]
    assert f"+{GAIN:.2f}" in page.locator(".apart").first.inner_text()
    assert "Content-Security-Policy" in (tmp_path / "both.html").read_text()


def test_with_one_validation_image_no_interval_is_promised(copied: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(copied.path, tmp_path / "again")
    note = Comparison.of([copied, RunFolder(tmp_path / "again")]).note
    assert "they rest on one validation image" in note
    assert "interval" not in note
