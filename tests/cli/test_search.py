"""The command search: what it prints where, how it ends, and what the commands after it show."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from helpers.command_line import Call, assert_refused
from helpers.images import write_waves

from autocompress import terminal
from autocompress.search import Outcome, RunFolder
from autocompress.search.tuner import Tuner
from autocompress.terminal import Display


def test_a_search_shows_the_front_and_its_pick(call: Call, here: Path, search_words: list[object]) -> None:
    result = call(*search_words, "--out", "run", "--budget-params", "5K")
    assert result.code == 0
    students = RunFolder(here / "run").students()
    best = max(students, key=lambda student: float(student.metrics["psnr_y"]))
    assert f"Pick: trial {best.trial}, {best.metrics['psnr_y']:.2f} dB" in result.out
    assert "run/pareto.csv" in result.out
    assert "run/report.html" in result.out
    assert "bicubic" in result.out
    assert "The search ended: all 3 trials are done." in result.err
    assert "dB before training" in result.err
    assert "left" in result.err  # the time
    assert "few images  all choices rest on 1; give --val a folder of ten or more" in result.err
    for name in ("pareto.csv", "pareto.json", "report.html", "config.json", "study.db"):
        assert (here / "run" / name).is_file()


def test_the_end_of_a_search_says_what_people_do_next(call: Call, here: Path, search_words: list[object]) -> None:
    """As commands that run as they are printed."""
    ended = call(*search_words, "--out", "run")
    said = ended.err.partition("Next:\n")[2]
    commands = [shlex.split(line, comments=True) for line in said.splitlines()]
    assert [words[:2] for words in commands] == [["autocompress", verb] for verb in ("upscale", "export", "refine")]
    write_waves(here / "photo.jpg", 40, 40, seed=0)
    for words in commands[:2]:
        assert call(*words[1:]).code == 0
    assert call(*commands[2][1:-1], "1s").code == 0
    assert "Next:" not in call(*search_words, "--out", "run 2", "--quiet").err


@pytest.mark.slow
def test_the_default_folder_is_named_after_the_search(call: Call, here: Path, search_words: list[object]) -> None:
    assert call(*search_words, "--seed", "5").code == 0
    assert (here / "runs" / "small-400M-seed5" / "pareto.csv").is_file()


def test_a_run_of_other_settings_is_refused(call: Call, searched: Path, search_words: list[object]) -> None:
    before = {file: file.read_bytes() for file in searched.rglob("*.json")}
    result = call(*search_words, "--out", searched, "--seed", "1")
    assert_refused(result, "run: holds a search of other settings", "seed was 0 and is now 1", "--out")
    assert {file: file.read_bytes() for file in searched.rglob("*.json")} == before


def test_ctrl_c_shows_the_front_so_far(
    call: Call, here: Path, search_words: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def on_step(self: Display, trial: int, step: int) -> None:
        seen.append(trial)
        if len(set(seen)) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(terminal.Display, "on_step", on_step)
        result = call(*search_words, "--out", "run")
    assert result.code == 130
    assert "The search ended: interrupted." in result.err
    assert "the same command goes on from here" in result.err
    assert "Pareto front" in result.out
    assert len(RunFolder(here / "run").students()) == 1
    result = call(*search_words, "--out", "run")
    assert result.code == 0
    assert "all 3 trials are done" in result.err


def test_ctrl_c_while_preparing_leaves_nothing(
    call: Call, here: Path, search_words: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_stage(self: Display, what: str) -> None:
        if what == "analysing the teacher":
            raise KeyboardInterrupt

    monkeypatch.setattr(terminal.Display, "on_stage", on_stage)
    result = call(*search_words, "--out", "runs/new")
    assert result.code == 130
    assert "Traceback" not in result.err
    assert not list(here.iterdir())


def test_a_search_without_any_student_says_so(call: Call, here: Path, search_words: list[object]) -> None:
    result = call(*search_words, "--out", "run", "--timeout", "1ms")
    assert result.code == 1
    assert "No student was trained to the end" in result.err
    assert_refused(call("pareto", "run"), "run: no trial has finished yet")
    assert_refused(call("export", "run", "--out", "there"), "run: no trial has finished yet")
    assert not Path("there").exists()
    assert_refused(call("report", "run"), "run: no trial has finished yet")
    assert not Path("run/report.html").exists()


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_budget_that_no_student_is_within(
    call: Call, searched: Path, search_words: list[object], interrupted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written of the front of another budget goes, and every command says why there is none."""
    largest = max(RunFolder(searched).students(), key=lambda student: int(student.flops))
    for student in RunFolder(searched).students():
        if student.flops < largest.flops:
            shutil.rmtree(Path(student.file).parent)
    before = (searched / "report.html").read_text()
    # or else those whose folders are gone would be trained again
    monkeypatch.setattr(Tuner, "run", lambda *_: Outcome("it ended", interrupted=interrupted))
    result = call(*search_words, "--out", searched, "--budget-flops", largest.flops - 1, "--extend")
    assert result.code == (130 if interrupted else 1)
    [said] = [line for line in result.err.splitlines() if "no front" in line]
    assert re.match(r"No student of 1 is within .* FLOPs, so there is no front yet\. Run folder: run$", said)
    assert "Traceback" not in result.err
    assert not (searched / "pareto.csv").exists()
    assert not (searched / "pareto.json").exists()
    after = (searched / "report.html").read_text()
    assert "No student is within the budget" in after
    assert "No student is within the budget" not in before
    for command in (
        "pareto run",
        "pareto run --json",
        "export run --out there",
        "export run --out there --trial pick",
        "upscale run photo.png there.png",
        "evaluate run --latency",
    ):
        assert_refused(call(*command.split()), "run: none of its 1 student is within", "--extend")
    assert call("export", searched, "--out", "there", "--trial", largest.trial).code == 0
    assert call("status", searched).code == 0


def test_pareto_as_table_and_as_json_alone(call: Call, searched_once: Path) -> None:
    table = call("pareto", searched_once)
    assert table.code == 0
    for heading in ("PSNR-Y", "SSIM-Y", "FLOPs", "params", "of teacher", "over bicubic", "under teacher"):
        assert heading in table.out
    result = call("pareto", searched_once, "--json")
    content = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert content == json.loads((searched_once / "pareto.json").read_text())
    assert content["objective"] == "flops"
    columns = {"trial", "family", "psnr_y", "ssim_y", "flops", "params", "flops_share", "gain_over_bicubic"}
    assert columns <= content["students"][0].keys()


def test_a_damaged_student_is_named(call: Call, searched: Path) -> None:
    [*_, file] = sorted(searched.glob("trials/*/student.json"))
    file.write_text("{")
    assert_refused(call("pareto", searched), str(file), "not readable as JSON")


def test_report_writes_the_picture(call: Call, searched: Path) -> None:
    (searched / "report.html").unlink()
    result = call("report", searched)
    assert (result.code, result.out) == (0, f"{searched}/report.html\n")
    assert (searched / "report.html").stat().st_size > 1_000_000  # Plotly is inside
