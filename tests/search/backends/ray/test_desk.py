"""Whom the desk gives a search's jobs on Ray, whatever becomes of workers and in whatever order it is told."""

import pickle
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autocompress.errors import AutocompressError, DiskFull
from autocompress.search.backends.ray.mailbox import Free, Letter, Parcel, Told
from autocompress.search.trial.work import Failed, Finished, Job, Report, Step

ray_desk = pytest.importorskip("autocompress.search.backends.ray.desk", reason="Ray is not installed")


class Jobs:
    """A source of so many; what fails and may have better luck comes again under a new number."""

    def __init__(self, count: int) -> None:
        self.left, self.given, self.heard = count, 0, list[Report]()

    def next_job(self) -> Job | None:
        if self.left == 0:
            return None
        self.left, self.given = self.left - 1, self.given + 1
        return Job(self.given - 1, None, Path("trials", str(self.given)), Path("absent", "state.pt"))  # type: ignore[arg-type]

    def answer(self, report: Report) -> bool:
        self.heard.append(report)
        if isinstance(report, Failed) and report.ends_search:
            raise DiskFull(report.reason)
        self.left += isinstance(report, Failed) and report.again
        return isinstance(report, Step)

    def check(self) -> None:
        pass


class Office:
    """A desk whose mailbox is here, and whose workers are names."""

    def __init__(self, count: int, monkeypatch: pytest.MonkeyPatch, limit: float | None = None) -> None:
        self.letters, self.posted, self.killed = list[Letter](), list[tuple[str, int | None]](), list[str]()
        self.last_words: list[Letter] = []  # that a worker says while it is being killed
        ways = {"empty": self._empty, "post": self._post, "decide": lambda *_: None}
        mailbox = SimpleNamespace(**{name: SimpleNamespace(remote=way) for name, way in ways.items()})
        monkeypatch.setattr(ray_desk.ray, "get", lambda found: found)
        monkeypatch.setattr(ray_desk.ray, "wait", lambda *_, **__: None)
        monkeypatch.setattr(ray_desk.ray, "kill", self._kill)
        self.jobs = Jobs(count)
        self.desk = ray_desk.Desk(self.jobs, mailbox, Path("marker"), limit)

    def _empty(self) -> list[Letter]:
        letters, self.letters = self.letters, []
        return letters

    def _post(self, worker: str, parcel: Parcel | None) -> None:
        self.posted.append((worker, None if parcel is None else parcel.job.number))

    def _kill(self, actor: Any) -> None:
        self.killed.append(actor.name)
        self.letters += self.last_words

    def free(self, *workers: str) -> None:
        for worker in workers:
            actor = SimpleNamespace(name=worker, __ray_ready__=SimpleNamespace(remote=lambda: None))
            self.letters.append(Free(worker, actor))
        self.desk.look()

    def finished(self, worker: str, number: int) -> None:
        self.letters.append(Told(worker, Finished(number, {}, {})))
        self.desk.look()


def test_a_job_is_for_whoever_is_free_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that Ray never finds a place for keeps none from being done."""
    office = Office(3, monkeypatch)
    assert [office.desk.employ(worker) for worker in ("placed", "unplaced")] == [True, True]
    for number in range(3):
        office.free("placed")
        assert office.posted[-1] == ("placed", number)
        assert not office.desk.done
        office.finished("placed", number)
    office.free("placed")
    assert office.posted[-1] == ("placed", None)
    assert office.desk.done
    assert not office.desk.employ("another")


def test_a_job_of_a_lost_worker_is_told_as_failed_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(1, monkeypatch)
    office.desk.employ("a")
    office.free("a")
    office.desk.lost("a")
    assert office.jobs.heard == [Failed(0, "its worker's process or node was lost", again=True)]
    assert not office.desk.done
    assert office.desk.employ("b")
    office.free("b")
    assert office.posted == [("a", 0), ("b", 1)]


def test_what_was_told_before_a_worker_was_lost_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(1, monkeypatch)
    office.desk.employ("a")
    office.free("a")
    office.letters.append(Told("a", Finished(0, {}, {})))
    office.desk.lost("a")
    assert office.jobs.heard == [Finished(0, {}, {})]


@pytest.mark.parametrize("before", [True, False], ids=["heard before", "heard after"])
def test_a_lost_worker_gets_no_job_whatever_it_has_told(monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    office = Office(2, monkeypatch)
    office.desk.employ("a")
    office.free("a")
    office.finished("a", 0)
    letter = Free("a", SimpleNamespace(name="a"))
    if before:
        office.letters.append(letter)
    office.desk.lost("a")
    if not before:
        office.letters.append(letter)
    office.desk.look()
    assert office.posted == [("a", 0)]
    assert office.desk.employ("b")
    office.free("b")
    assert office.posted[-1] == ("b", 1)


def test_a_late_word_of_steps_is_not_taken_for_another_job(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(2, monkeypatch)
    office.desk.employ("a")
    office.free("a")
    office.finished("a", 0)
    office.free("a")
    office.letters.append(Told("a", Step(0, 300)))
    office.desk.look()
    assert office.jobs.heard == [Finished(0, {}, {})]


def test_a_late_worker_is_killed_and_its_job_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(1, monkeypatch, limit=60.0)
    office.desk.employ("a")
    office.free("a")
    assert office.killed == []
    now = ray_desk.time.monotonic()
    monkeypatch.setattr(ray_desk.time, "monotonic", lambda: now + 61)
    office.desk.look()
    assert office.killed == ["a"]
    assert office.jobs.heard == [Failed(0, "it took longer than 1m00s (--trial-timeout)", again=True)]
    office.free("a")  # on its way when it was killed
    assert office.posted == [("a", 0)]


def test_a_late_worker_may_have_finished_before_it_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the trial would have two students."""
    office = Office(1, monkeypatch, limit=60.0)
    office.last_words = [Told("a", Finished(0, {}, {}))]
    office.desk.employ("a")
    office.free("a")
    now = ray_desk.time.monotonic()
    monkeypatch.setattr(ray_desk.time, "monotonic", lambda: now + 61)
    office.desk.look()
    assert office.jobs.heard == [Finished(0, {}, {})]


def test_workers_that_die_before_they_begin_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not if it is a node's worth of them, and none counts against a job."""
    office = Office(9, monkeypatch)
    for generation in range(2):
        workers = [f"{generation}{index}" for index in range(4)]
        for worker in workers:
            office.desk.employ(worker)
        for worker in workers[: 4 if generation == 0 else 1]:
            office.desk.lost(worker)
            office.desk.hear_why("the node died")
    assert office.jobs.heard == []
    office.desk.lost("11")
    with pytest.raises(ray_desk.Left):
        office.desk.hear_why("the node died")
    assert str(office.desk.raised) == "6 workers on Ray ended before they could begin: the node died"


def test_what_ends_the_search_kills_who_works_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(2, monkeypatch)
    for worker in "ab":
        office.desk.employ(worker)
    office.free("a", "b")
    office.letters.append(Told("a", Failed(0, "no space left on node 10.0.0.2", ends_search=True)))
    with pytest.raises(ray_desk.Left):
        office.desk.look()
    assert office.killed == ["a", "b"]
    with pytest.raises(ray_desk.Left):
        office.desk.lost("b")
    assert isinstance(office.desk.raised, DiskFull)


def test_a_mailbox_that_is_gone_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(1, monkeypatch)

    def gone(_: object) -> None:
        raise ray_desk.ray.exceptions.ActorDiedError

    monkeypatch.setattr(ray_desk.ray, "get", gone)
    with pytest.raises(ray_desk.Left):
        office.desk.look()
    assert isinstance(office.desk.raised, AutocompressError)
    assert "the same command goes on" in str(office.desk.raised)


def test_slots_of_a_gpu_s_share() -> None:
    from autocompress.search import OnRay
    from autocompress.search.backends.ray.cluster import _fit

    for share, fit in ((0.1, 10), (0.2, 5), (0.3, 3), (0.5, 2), (1.0, 1), (2.0, 0)):
        assert _fit({"CPU": 64.0, "GPU": 1.0}, OnRay(gpus=share)) == fit
    assert _fit({"CPU": 7.0}, OnRay(cpus=2)) == 3
    assert _fit({"CPU": 7.0}, OnRay(gpus=1.0)) == 0


def test_tune_can_write_down_what_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the desk has: a search holds locks and files."""
    from autocompress.search.backends.ray.engine import _Stopper

    office = Office(0, monkeypatch)
    stopper = _Stopper(office.desk)
    assert not office.desk.employ("a")
    assert stopper.stop_all()
    office.desk.held = threading.Lock()  # cannot be pickled
    pickle.dumps(stopper)
