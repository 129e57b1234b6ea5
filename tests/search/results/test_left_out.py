"""What is not as it was written and nothing is chosen by: pictures, latencies and times. Views say what they lack."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.command_line import Call, assert_refused
from helpers.latencies import MACHINE

from autocompress.evaluation.records import Latency
from autocompress.export.formats import Format, Wanted
from autocompress.report import ReportData
from autocompress.report.pictures import pictures, strip
from autocompress.search import RunFolder
from autocompress.search.results.changed_pictures import note_of_pictures
from autocompress.search.results.compare import Comparison
from autocompress.search.results.export import export_trial
from autocompress.search.results.left_out import note_of_latencies
from autocompress.search.results.rows import front_rows, pick, student_rows
from autocompress.search.results.status import status
from autocompress.search.run.crops import crops_of


def swap(first: Path, second: Path) -> None:
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def edit(file: Path, **fields: object) -> None:
    content = json.loads(file.read_text())
    for name, value in fields.items():
        content[name] = value
        if value is None:
            del content[name]
    file.write_text(json.dumps(content))


def shown(run: RunFolder) -> set[str]:
    """The layers that the report has of the only image."""
    found = pictures(ReportData.of(run))
    return set() if found is None else set(found["images"][0]["layers"])


def test_students_that_are_gone_are_said(call: Call, copied: RunFolder, tmp_path: Path) -> None:
    """The front of those that are left is another, and where none is left, it is not that no trial has finished."""
    best = pick(front_rows(copied))["trial"]
    shutil.rmtree(copied.trial(best))
    line = f"the students of 1 finished trial ({best}) are gone from trials/; restore their folders"
    for verb in ("pareto", "status"):
        code, _, err = call(verb, copied.path)
        assert code == 0
        assert line in err
    assert line in ReportData.of(copied).left_out["students"]
    other = RunFolder.existing(shutil.copytree(copied.path, tmp_path / "other"))
    assert Comparison.of([copied, other]).note.count(line) == 2
    shutil.rmtree(copied.path / "trials")
    for words in (("pareto",), ("report",), ("export", "--out", copied.path.parent / "out")):
        assert_refused(call(words[0], copied.path, *words[1:]), "finished trials (0, 1, ", "are gone from trials/")


def test_pictures_that_were_swapped_between_trials_are_left_out(call: Call, copied: RunFolder, tmp_path: Path) -> None:
    best = pick(front_rows(copied))["trial"]
    other = next(row["trial"] for row in student_rows(copied) if row["trial"] != best)
    swap(copied.trial(best) / "crop-0.png", copied.trial(other) / "crop-0.png")
    assert not {f"trial {best}", f"trial {other}"} & shown(copied)
    assert strip(ReportData.of(copied), best) is None
    export_trial(copied, str(best), tmp_path / "models", Wanted((Format.SAFETENSORS,)))
    assert not list((tmp_path / "models").glob("*.png"))
    code, _, err = call("report", copied.path)
    assert code == 0
    [line] = err.splitlines()
    assert f"2 pictures left out, as changed or swapped after they were written (trials/{min(best, other):04d}/" in line
    assert line.replace("'", "&#39;") in (copied.path / "report.html").read_text(encoding="utf-8")


def test_references_that_were_changed_are_left_out(copied: RunFolder) -> None:
    before = shown(copied)
    swap(copied.path / "crops" / "0-0.webp", copied.path / "crops" / "0-truth.webp")
    assert before - shown(copied) == {"bicubic", "ground truth"}
    assert "2 pictures left out" in (note_of_pictures(copied) or "")


@pytest.mark.parametrize("of_others", [{"valid": "00"}, {"teachers": {"another": "00"}}])
def test_pictures_of_another_run_are_left_out(copied: RunFolder, of_others: dict[str, object]) -> None:
    edit(copied.path / "crops" / "crops.json", **of_others)
    assert crops_of(copied) is None
    assert shown(copied) == set()
    assert "are another run's" in (note_of_pictures(copied) or "")


def test_an_older_run_has_its_pictures(copied: RunFolder) -> None:
    before = shown(copied)
    edit(copied.path / "crops" / "crops.json", digests=None, valid=None, teachers=None)
    for file in copied.path.glob("trials/*/student.json"):
        edit(file, pictures=None)
    assert shown(copied) == before
    assert note_of_pictures(copied) is None


def test_the_latency_of_another_network_is_left_out(call: Call, copied: RunFolder) -> None:
    front = [row["trial"] for row in front_rows(copied)]
    one, other = copied.trial(front[0]), copied.trial(front[-1])
    for number, trial in enumerate(front):
        latency = Latency("pytorch", "1.0", MACHINE, 640, 360, 7, 10.0 + number, (9.0, 11.0))
        copied.write_latency(trial, {"pytorch": latency})
    shutil.copy(one / "latency.json", other / "latency.json")
    code, out, err = call("pareto", copied.path, "--json")
    assert code == 0
    medians = [row["latency_ms"] for row in json.loads(out)["students"]]
    assert medians == [*(10.0 + number for number in range(len(front) - 1)), None]
    assert f"another network was measured (trials/{front[-1]:04d}/latency.json)" in err
    edit(other / "latency.json", network=None)  # as older versions wrote it
    assert copied.latency(front[-1])["pytorch"].median == 10.0
    assert note_of_latencies(copied) is None


def test_a_session_without_times_is_said(call: Call, copied: RunFolder) -> None:
    assert status(copied)["times"]["missing_sessions"] == 0
    times = json.loads((copied.path / "times.json").read_text())["sessions"]
    edit(copied.path / "times.json", sessions=[times[0] | {"session": "ofanotherrun"}])
    assert status(copied)["times"]["missing_sessions"] == 1
    line = "times.json lacks the times of 1 session that trials name"
    assert line in call("status", copied.path)[1]
    assert line in ReportData.of(copied).left_out["times"]
    edit(copied.path / "times.json", sessions=[times[0] | {"session": None}])  # as older versions wrote it
    assert status(copied)["times"]["missing_sessions"] == 0
