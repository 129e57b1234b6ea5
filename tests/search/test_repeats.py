"""Students of the front that are trained again with other seeds: what is kept, and what a kill leaves."""

import json
import statistics
import time
from dataclasses import replace

import pytest
from helpers import fake_trials
from helpers.fake_trials import FakeSetup
from helpers.programs import finish, start
from helpers.small_search import MakeSettings, Recorder, run_search

from autocompress.errors import RunError
from autocompress.search import RunFolder, SearchCallback, Settings
from autocompress.search.results.front import pareto
from autocompress.search.results.intervals import TYPICAL_SPREAD, Intervals
from autocompress.search.results.rows import front_rows, pick
from autocompress.search.space.search_space import Candidate


class Trainings(Recorder):
    """Writes down repeats too; interrupts as Ctrl-C does after so many."""

    def __init__(self, interrupts_after: int | None = None) -> None:
        super().__init__()
        self.repeats: list[tuple[int, int]] = []
        self._interrupts_after = interrupts_after

    def on_repeat_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self.repeats.append((trial, candidate.recipe.seed))
        if len(self.repeats) == self._interrupts_after:
            raise KeyboardInterrupt

    def on_repeat_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.events.append(f"repeat of {trial} failed: {reason}")


def front_of(settings: Settings) -> list[int]:
    trials: list[int] = pareto(RunFolder(settings.folder))["trial"].tolist()
    return trials


def scores_of_repeats(run: RunFolder, trial: int) -> list[float]:
    return [repeat.metrics["psnr_y"] for repeat in run.repeats(trial)]


def test_each_student_of_the_front_is_trained_again(settings: MakeSettings) -> None:
    wanted = settings(repeats=3)
    progress = Trainings()
    run, outcome = run_search(wanted, progress)
    front = front_of(wanted)
    assert outcome.reason.endswith(f"each student of the front ({len(front)}) was trained 3 times")
    assert sorted(trial for trial, _ in progress.repeats) == sorted(2 * front)
    assert len({seed for _, seed in progress.repeats}) == 2 * len(front)
    best = pick(front_rows(run))["trial"]
    assert progress.repeats[0][0] == best
    for trial in front:
        own, repeats = run.student(trial), run.repeats(trial)
        assert own is not None
        assert len(repeats) == 2
        for repeat in repeats:
            assert (repeat.config, repeat.flops) == (own.config, own.flops)
            assert {**repeat.provenance.recipe, "seed": 0} == {**own.provenance.recipe, "seed": 0}
            assert repeat.provenance.recipe["seed"] % 1_000_000 == own.provenance.recipe["seed"]
            assert repeat.metrics["psnr_y"] != own.metrics["psnr_y"]
            assert repeat.psnr_y_by_image is not None
        assert {file.name for file in run.trial(trial).rglob("repeats/*/*")} == {"student.json"}
        assert f"repeat 1, seed {1_000_000 + trial}: finished" in (run.trial(trial) / "log.txt").read_text()


def test_repeats_of_a_finished_search_change_no_student(small: MakeSettings) -> None:
    wanted = small()
    fake_trials.run(wanted, FakeSetup(), here=True)
    run = RunFolder(wanted.folder)
    files = [*run.path.glob("trials/*/student.*"), *run.path.glob("trials/*/crop-*.png")]
    before, students = {file: file.read_bytes() for file in files}, len(run.students())
    fake_trials.run(replace(wanted, repeats=2), FakeSetup(), here=True)
    assert len(run.students()) == students
    assert {file: file.read_bytes() for file in files} == before
    assert all(len(run.repeats(trial)) == 1 for trial in front_of(wanted))


@pytest.mark.parametrize("done", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_what_is_interrupted_goes_on_where_it_stopped(small: MakeSettings, done: int) -> None:
    wanted, first = small(repeats=2), Trainings(interrupts_after=done)
    outcome = fake_trials.run(wanted, FakeSetup(), here=True, callback=first)
    assert outcome.interrupted
    second = Trainings()
    outcome = fake_trials.run(wanted, FakeSetup(), here=True, callback=second)
    assert not outcome.interrupted
    assert sorted(trial for trial, _ in first.repeats + second.repeats) == sorted(front_of(wanted))
    third = Trainings()
    fake_trials.run(wanted, FakeSetup(), here=True, callback=third)
    assert third.repeats == []


@pytest.mark.slow
def test_a_repeat_goes_on_from_its_last_rung(settings: MakeSettings) -> None:
    """The same to the last bit as one that was not interrupted."""
    wanted = settings(trials=1, steps=60)
    run, _ = run_search(wanted)

    class Interrupts(SearchCallback):
        def on_step(self, trial: int, step: int) -> None:
            if (run.repeat_folder(0, 1) / "state.pt").is_file():
                raise KeyboardInterrupt

    again = replace(wanted, repeats=2)
    for _ in range(20):  # the steps of which a callback hears depend on the clock
        if run_search(again, Interrupts())[1].interrupted:
            break
        (run.repeat_folder(0, 1) / "student.json").unlink()
    else:
        pytest.skip("too fast to be interrupted")
    assert run.repeat(0, 1) is None
    run_search(again)
    (gone_on,) = scores_of_repeats(run, 0)
    (run.repeat_folder(0, 1) / "student.json").unlink()
    run_search(again)
    assert scores_of_repeats(run, 0) == [gone_on]


@pytest.mark.slow
def test_a_session_that_is_killed_loses_nothing(small: MakeSettings) -> None:
    """Killed in its first repeats, with its workers; the next session goes on from what they have written."""
    wanted = small(repeats=2, workers=2)
    fake_trials.run(replace(wanted, repeats=1, workers=None), FakeSetup(), here=True)
    run = RunFolder(wanted.folder)
    killed = start(wanted, FakeSetup(seconds=3.0))
    while not list(run.path.glob("trials/*/repeats/*/state.pt")):
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    assert not any(run.repeats(trial) for trial in front_of(wanted))
    assert "was trained 2 times" in finish(start(wanted, FakeSetup()))
    assert all(len(run.repeats(trial)) == 1 for trial in front_of(wanted))
    assert list(run.path.glob("trials/*/repeats/*/state.pt")) == []


@pytest.mark.slow
def test_one_that_fails_is_told_and_tried_again(small: MakeSettings) -> None:
    wanted = small(trials=1, repeats=2)
    fake_trials.run(replace(wanted, repeats=1), FakeSetup(), here=True)
    progress = Trainings()
    fake_trials.run(replace(wanted, trial_timeout=60.0), FakeSetup(kills_itself_at=33), callback=progress)
    (failed,) = progress.events
    assert failed.startswith("repeat of 0 failed: its process was killed")
    assert [trial for trial, _ in progress.repeats] == [0]


def test_one_that_fails_for_good_is_left_out(small: MakeSettings) -> None:
    wanted = small(trials=1, repeats=3)
    fake_trials.run(replace(wanted, repeats=1), FakeSetup(), here=True)
    progress = Trainings()
    fake_trials.run(wanted, FakeSetup(raises_at=33), here=True, callback=progress)
    assert progress.events == ["repeat of 0 failed: the fake trial raised"]
    assert [trial for trial, _ in progress.repeats] == [0]
    assert "failed: the fake trial raised" in (RunFolder(wanted.folder).trial(0) / "log.txt").read_text()


def test_students_of_older_versions_cannot_be_trained_again(small: MakeSettings) -> None:
    wanted = small(trials=1)
    fake_trials.run(wanted, FakeSetup(), here=True)
    file = wanted.folder / "trials" / "0000" / "student.json"
    content = json.loads(file.read_text())
    del content["provenance"]["point"]
    file.write_text(json.dumps(content))
    with pytest.raises(RunError, match="trial 0 was written by an older version"):
        fake_trials.run(replace(wanted, repeats=2), FakeSetup(), here=True)


def test_the_time_may_end_it(small: MakeSettings) -> None:
    wanted = small(repeats=2)
    fake_trials.run(replace(wanted, repeats=1), FakeSetup(), here=True)
    times = iter([0.0] * 8)
    outcome = fake_trials.run(replace(wanted, timeout=10.0), FakeSetup(), here=True, clock=lambda: next(times, 100.0))
    assert outcome.reason.endswith("repeats: the time is used up")


@pytest.mark.slow
def test_the_spread_is_that_of_the_repeats_where_they_are_enough(settings: MakeSettings) -> None:
    wanted = settings(trials=6, repeats=3)
    run, _ = run_search(wanted)
    intervals, front = Intervals.of(run, run.students()), front_of(wanted)
    own = {student.trial: student.metrics["psnr_y"] for student in run.students()}
    assert intervals.repeats.keys() == set(front)
    assert all(psnr[0] == own[trial] for trial, psnr in intervals.repeats.items())
    variances = [statistics.variance(psnr) for psnr in intervals.repeats.values()]
    if len(front) >= 2:
        assert intervals.seeds.sd == pytest.approx(statistics.mean(variances) ** 0.5)
        assert intervals.seeds.degrees == 2 * len(front)
        assert intervals.enough
    few = RunFolder(wanted.folder)
    for trial in front[1:]:
        for ordinal in (1, 2):
            (few.repeat_folder(trial, ordinal) / "student.json").unlink()
    assert Intervals.of(few, few.students()).seeds == TYPICAL_SPREAD
