"""The loop of a search: what it hands out, and when, whatever a backend says."""

import math
from typing import Any

import pytest
from helpers.small_search import FinishedSearch, MakeSettings, Recorder, counts, run_search
from typing_extensions import override

from autocompress.errors import DiskFull
from autocompress.search import RunFolder
from autocompress.search.backends.base import Backend
from autocompress.search.backends.in_memory import InMemoryBackend
from autocompress.search.results.front import pareto
from autocompress.search.stopping import NoStopping
from autocompress.search.trial.messages import Failed, Finished, Job, Message, Part, RungReached


def score(job: Job, step: int) -> float:
    """More FLOPs and more steps are better."""
    return 30 + math.log10(job.candidate.flops) + step / 1000


class Scripted(Backend):
    """Says of each job what `says` gives, all at once; remembers what it was asked."""

    def __init__(self, *says: Any, slots: int = 1) -> None:
        self.says, self.slots = says, slots
        self.calls: list[str] = []
        self.jobs: list[Job] = []
        self.said: list[Message] = []

    @override
    def free_slots(self) -> int:
        return self.slots

    @override
    def start(self, job: Job) -> None:
        self.jobs.append(job)
        self.calls.append(f"start {job.number}")
        self.said += [say(job.number) for say in self.says]

    @override
    def poll(self, timeout: float) -> list[Message]:
        said, self.said = self.said, []
        return said

    @override
    def resume(self, number: int) -> None:
        self.calls.append(f"resume {number}")

    @override
    def stop(self, number: int) -> None:
        self.calls.append(f"stop {number}")

    @override
    def close(self) -> None:
        self.calls.append("close")


def failed(number: int) -> Failed:
    return Failed(number, "bad luck", again=True)


def test_what_fails_is_tried_again_at_once(small: MakeSettings) -> None:
    """Where there was nothing to ask for just before: no time passes on this clock."""
    backend = Scripted(failed, slots=2)
    _, outcome = run_search(small(trials=1), backend=backend, clock=lambda: 1.0)
    assert outcome.reason == "the only trial is done"
    assert backend.calls == ["start 0", "start 1", "start 2", "close"]
    assert counts(RunFolder(small().folder)) == {"FAIL": 3}


def test_the_answer_at_a_rung_is_the_rules(small: MakeSettings) -> None:
    class OddOnes(NoStopping):
        def stops(self, rung: int, point: Any) -> str | None:
            return "odd" if rung and point.trial % 2 else None

    recorder = Recorder()
    backend = Scripted(
        lambda number: RungReached(number, 0, 30.0),
        lambda number: RungReached(number, 20, 31.0),
        lambda number: Finished(number, {"psnr_y": 32.0, "ssim_y": 0.9}, {}),
    )
    # what comes of a trial after it was stopped is nobody's
    run_search(small(trials=2), recorder, backend=backend, stopping=OddOnes())
    assert backend.calls == ["start 0", "resume 0", "resume 0", "start 1", "resume 1", "stop 1", "close"]
    assert recorder.events == ["0 finished", "1 stopped: odd"]


def test_what_is_done_for_a_student_beside_its_training_is_told(finished: FinishedSearch) -> None:
    recorder = finished[2]
    assert set(recorder.parts) == set(range(10))
    for trial, parts in recorder.parts.items():
        assert parts[0] == (Part.MAKING, 0.0)
        scored = [share for part, share in parts if part == Part.SCORING]
        assert scored[:1] == ([0.0] if f"{trial} finished" in recorder.events else [])
        assert scored == sorted(scored)


def test_a_full_disk_ends_the_search_and_the_backend(small: MakeSettings) -> None:
    backend = Scripted(lambda number: Failed(number, "no space left", ends_search=True))
    with pytest.raises(DiskFull, match="no space left"):
        run_search(small(trials=2), backend=backend)
    assert backend.calls == ["start 0", "close"]
    assert counts(RunFolder(small().folder))["WAITING"] >= 1


def test_as_many_as_there_are_slots_are_under_way(small: MakeSettings) -> None:
    """And the run that an in-memory search leaves is whole."""

    class Watching(InMemoryBackend):
        most = 0

        def start(self, job: Job) -> None:
            super().start(job)
            self.most = max(self.most, 3 - self.free_slots())

    backend = Watching(score, slots=3)
    run, outcome = run_search(small(trials=7), backend=backend, stopping=NoStopping())
    assert outcome.reason == "all 7 trials are done"
    assert backend.most == 3
    assert counts(run) == {"COMPLETE": 7}
    assert len(pareto(run)) >= 1
    assert len(run.students()) == 7


def test_time_that_is_up_leaves_nothing_running(small: MakeSettings) -> None:
    clock = iter(range(10**6))
    _, outcome = run_search(small(trials=50, timeout=30.0), backend=InMemoryBackend(score), clock=lambda: next(clock))
    assert outcome.reason == "the time is used up"
    assert not {"RUNNING"} & counts(RunFolder(small().folder)).keys()
