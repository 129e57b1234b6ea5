"""Refining the front of a run: what trains on, what becomes of it, and what stays as the search judged it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.refined_runs import Watching, check_refined, psnr
from helpers.small_search import Recorder, run_search, trials_of
from typing_extensions import override

from autocompress import search
from autocompress.errors import InvalidInput, RunError
from autocompress.search import RunFolder, SearchCallback, Settings
from autocompress.search.results.front import pareto, students
from autocompress.search.run.sessions import Session
from autocompress.search.run.storage import find_storage
from autocompress.search.space.search_space import Candidate


def refine(run: RunFolder, steps: int | None = None, callback: SearchCallback | None = None, **own: Any) -> str:
    return search.refine(run.path, callback or SearchCallback(), steps, **own)[1].reason


def test_weights_of_an_older_run_that_are_damaged(copied: RunFolder) -> None:
    """Its student.json has no digest of them."""
    for student in copied.students():
        side = student.file.with_suffix(".json")
        side.write_text(
            json.dumps({key: value for key, value in json.loads(side.read_text()).items() if key != "weights"})
        )
        student.file.write_bytes(b"no weights")
    recorder = Recorder()
    assert refine(copied, 4, recorder) == "every student of the front failed to train on"
    said = "student.safetensors: not the weights that its student.json describes"
    assert recorder.events
    assert all(said in event and "; restore it, or remove the folder" in event for event in recorder.events)


def test_every_student_of_the_front_gets_its_steps(copied: RunFolder) -> None:
    before, values = psnr(copied), [trial.values for trial in trials_of(copied)]
    first = set(pareto(copied)["trial"])
    watching = Watching()
    assert refine(copied, 30, watching) == "every student of the front has trained for 30 steps more"
    check_refined(copied, before)
    assert [trial.values for trial in trials_of(copied)] == values  # the search judges by what it has seen
    refined = {student.trial: student.refined_steps for student in copied.students() if student.refined_steps}
    assert refined.keys() <= first
    on_front = set(pareto(copied)["trial"])
    assert {trial: refined.get(trial) for trial in on_front & first} == dict.fromkeys(on_front & first, 30)
    assert any(after > start for _, start, after in watching.ends)
    assert [steps for trial, steps in watching.pieces if trial == watching.pieces[0][0]] == [8, 22]
    assert sum(times.refining for times in copied.times) > 0

    again = Watching()  # the same command has nothing left to do
    refine(copied, 30, again)
    assert again.pieces == []


def test_a_student_that_got_no_better_stays_as_it_was(copied: RunFolder) -> None:
    """The record says so, and the next piece has another length and other patches."""
    trial = int(pareto(copied)["trial"][0])
    file = copied.trial(trial) / "student.json"
    content = json.loads(file.read_text())
    content["metrics"]["psnr_y"] += 50  # nothing reaches that
    content["provenance"]["recipe"]["steps"] = 4
    del content["psnr_y_by_image"]  # it and the study would say that this is not the score
    file.write_text(json.dumps(content))
    copied.database.unlink()
    weights = (copied.trial(trial) / "student.safetensors").read_bytes()
    watching = Watching()
    refine(copied, 24, watching)
    student = copied.student(trial)
    assert student is not None
    assert [piece.kept for piece in student.provenance.refinements] == [False, False]
    assert [piece.steps for piece in student.provenance.refinements] == [8, 16]
    assert student.metrics["psnr_y"] == content["metrics"]["psnr_y"]
    assert (copied.trial(trial) / "student.safetensors").read_bytes() == weights
    assert {trial: before for trial, before, after in watching.ends} == {trial: student.metrics["psnr_y"]}
    assert len(students(copied)) > 1  # all others are overtaken by it, and get nothing


@pytest.mark.slow
def test_a_damaged_state_is_begun_anew(copied: RunFolder) -> None:
    class Stopping(Watching):
        def on_piece_score(self, trial: int, step: int, psnr: float) -> None:
            raise KeyboardInterrupt

    first = refine(copied, 30, Stopping(), save_every=0.0)
    assert first == "interrupted"
    [file] = copied.path.rglob("refinement.pt")
    state = torch.load(file, weights_only=True)
    for content in ({**state, "training": {"step": 1}}, {**state, "scores": 3}, [1], b"no state"):
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            torch.save(content, file)
        watching = Stopping()
        assert refine(copied, 30, watching, save_every=0.0) == "interrupted"
        assert watching.failed == []
    assert refine(copied, 30) == "every student of the front has trained for 30 steps more"


@pytest.mark.slow
def test_the_time_is_used_where_it_gains_most(copied: RunFolder) -> None:
    """On a clock that goes on by a second at each look; pieces that do not fit are not begun."""
    before = psnr(copied)
    seconds = iter(range(10**6))
    watching = Watching()
    reason = refine(copied, None, watching, where={"timeout": 60.0}, clock=lambda: float(next(seconds)))
    assert reason in ("the time is used up", "the time that is left is too short for another piece")
    assert watching.pieces
    for state in copied.path.rglob("refinement.pt"):
        state.unlink()  # of the piece in the middle of which the time was over
    check_refined(copied, before)


@pytest.mark.slow
def test_a_search_goes_on_by_what_it_has_judged(settings: Callable[..., Settings], tmp_path: Path) -> None:
    """The same trials follow as if nobody had refined, and a study that is lost is made again with the same values."""
    runs = {}
    for name in ("refined", "plain"):
        run, _ = run_search(settings(out=tmp_path / name, trials=6))
        if name == "refined":
            refine(run, 8)
            assert any(student.refined_steps for student in run.students())
            run.database.unlink()
        runs[name], outcome = run_search(settings(out=tmp_path / name, trials=9))
        assert outcome.reason == "all 9 trials are done"

    def asked(run: RunFolder) -> list[tuple[Any, Any]]:
        return sorted((str(trial.params), str(trial.values)) for trial in trials_of(run) if trial.values)

    assert asked(runs["refined"]) == asked(runs["plain"])


def test_a_search_refines_its_front_for_as_long_as_is_asked(settings: Callable[..., Settings]) -> None:
    wanted = settings(refine=2.0, trials=3)
    watching = Watching()
    run, outcome = run_search(wanted, watching)
    assert outcome.reason.startswith("all 3 trials are done; refining: ")
    assert watching.pieces
    spent = sum(times.refining for times in run.times)
    assert 0 < spent < 60

    times = json.loads((run.path / "times.json").read_text())
    times["sessions"][0]["refining"] = 1.5  # as one that was killed would have left it: the rest is half a second
    (run.path / "times.json").write_text(json.dumps(times))
    run, _ = run_search(wanted)
    assert sum(times.refining for times in run.times) < spent + 60
    times["sessions"][0]["refining"] = 2.0
    (run.path / "times.json").write_text(json.dumps(times))
    watching = Watching()
    _, outcome = run_search(wanted, watching)
    assert outcome.reason == "all 3 trials are done; refining: the front was refined for 2s"
    assert watching.pieces == []


def test_an_interrupt_ends_cleanly_and_it_goes_on(copied: RunFolder) -> None:
    class Interrupting(SearchCallback):
        @override
        def on_piece_score(self, trial: int, step: int, psnr: float) -> None:
            raise KeyboardInterrupt

    before = psnr(copied)
    assert search.refine(copied.path, Interrupting(), 8, save_every=0.0)[1].interrupted
    [state] = copied.path.rglob("refinement.pt")
    watching = Watching()
    refine(copied, 8, watching)
    assert watching.pieces[0][0] == int(state.parent.name)  # what was begun is finished first
    check_refined(copied, before)


def test_a_run_that_is_searched_is_not_refined(copied: RunFolder) -> None:
    other = Session(copied.path, find_storage(None, copied))
    with other.entered(), pytest.raises(RunError, match="1 session of its search are at work; wait until"):
        refine(copied, 4)
    with (
        other.entered(),
        other.refining(),
        pytest.raises(RunError, match="another process refines its front; wait for it, or end it"),
    ):
        refine(copied, 4)
    with other.entered(), other.refining(), pytest.raises(RunError, match="another process refines its front"):
        search.join(copied.path, Recorder())


def test_what_cannot_be_refined_is_said(settings: Callable[..., Settings], copied: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="steps is 0, but must be >= 1"):
        refine(copied, 0)
    empty, _ = run_search(settings(timeout=1e-3, out=tmp_path / "empty"))
    with pytest.raises(RunError, match="no trial has finished yet, so there is no front"):
        refine(empty, 4)
    config = json.loads((copied.path / "config.json").read_text())
    config["search"]["valid"] = "others"
    (copied.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match=r"the validation images .* are not those that its students"):
        refine(copied, 4)


def test_a_run_of_before_soap_is_refined_by_adam(copied: RunFolder) -> None:
    """Its students say neither of which optimizer their recipe was, nor, in the first versions, of which space."""
    config = json.loads((copied.path / "config.json").read_text())
    del config["search"]["recipe"]["optimizer"]
    (copied.path / "config.json").write_text(json.dumps(config))
    for file in copied.path.glob("trials/*/student.json"):
        content = json.loads(file.read_text())
        del content["provenance"]["recipe"]["optimizer"], content["provenance"]["space"]
        content["provenance"]["recipe"]["learning_rate"] = 1e-3
        file.write_text(json.dumps(content))
    before = psnr(copied)
    refine(copied, 4)
    check_refined(copied, before)
    assert {p.learning_rate for s in copied.students() for p in s.provenance.refinements} == {1e-3}


@pytest.mark.slow
def test_two_workers_refine_two_students_at_once(copied: RunFolder) -> None:
    """No student is taken twice, and each worker's student is written as one worker would have."""

    class Most(Watching):
        most = 0

        @override
        def on_piece_start(self, trial: int, candidate: Candidate, steps: int, psnr: float) -> None:
            super().on_piece_start(trial, candidate, steps, psnr)
            assert trial not in self.under_way
            self.under_way.add(trial)
            self.most = max(self.most, len(self.under_way))

        @override
        def on_piece_end(self, trial: int, candidate: Candidate, before: float, after: float) -> None:
            super().on_piece_end(trial, candidate, before, after)
            self.under_way.remove(trial)

    before, most = psnr(copied), Most()
    refine(copied, 8, most, where={"workers": 2})
    check_refined(copied, before)
    assert most.most == 2
    assert most.failed == []


def test_nothing_is_removed_or_written_through_links(copied: RunFolder, tmp_path: Path) -> None:
    """What a link in a run leads to is somebody else's."""
    outside = tmp_path / "outside"
    outside.mkdir()
    names = {".mine.tmp", "refinement.pt", "state.pt"}
    for name in names:
        (outside / name).write_text("precious")
    (copied.path / "trials" / "copy").symlink_to(outside)
    (copied.path / "trials" / "0001.bak").mkdir()
    (copied.path / "trials" / "0001.bak" / "refinement.pt").touch()
    refine(copied, 2)
    number = copied.path / "trials" / "0077"
    number.symlink_to(outside)
    with pytest.raises(RunError, match="0077: a link, but this part of a run is its own"):
        refine(copied, 4)
    assert {path.name for path in outside.iterdir()} == names
    number.unlink()
    (copied.path / "sessions").rename(tmp_path / "sessions")
    (copied.path / "sessions").symlink_to(tmp_path / "sessions")
    with pytest.raises(RunError, match="sessions: a link"):
        refine(copied, 4)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("name", ["trials/0001/log.txt", "study.db", ".lock", ".asking.lock", "trials/0001/repeats/1"])
def test_no_file_that_grows_in_its_place_is_a_link(copied: RunFolder, tmp_path: Path, name: str, there: bool) -> None:
    """A log or a database that is one would be written into a file of somebody else, or make one."""
    precious = tmp_path / "precious"
    if there:
        precious.write_text("precious")
    part = copied.path / name
    part.unlink(missing_ok=True)
    part.parent.mkdir(exist_ok=True)
    part.symlink_to(precious)
    with pytest.raises(RunError, match=f"{name}: a link, but this part of a run is its own"):
        refine(copied, 2)
    assert precious.exists() == there
    assert not there or precious.read_text() == "precious"
