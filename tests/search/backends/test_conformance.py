"""What the tuner relies on, of every backend that this machine has without Ray (ray/test_backend.py has the same)."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from autocompress.errors import DiskFull
from autocompress.search.backends.base import Backend
from autocompress.search.backends.processes import ProcessBackend
from autocompress.search.backends.serial import SerialBackend
from autocompress.search.trial.messages import Failed, Finished, Job, Message, RungReached, StepDone, Work

MakeBackend = Callable[[Work, int], Backend]


class Ready:
    """Workers that do this with each job."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def open(self) -> Work:
        return self._work


@pytest.fixture(params=["serial", "processes"])
def make(request: pytest.FixtureRequest) -> MakeBackend:
    """From what is done with each job, and how many jobs at once."""
    if request.param == "serial":
        return SerialBackend
    return lambda work, slots: ProcessBackend(Ready(work), slots)


def job(number: int) -> Job:
    return Job(number, None, Path(f"{number}"), Path("absent"))  # type: ignore[arg-type]


def two_rungs(job: Job) -> Iterator[Message]:
    yield RungReached(job.number, 0, 30.0)
    yield StepDone(job.number, 1)
    yield RungReached(job.number, 20, 31.0)
    yield Finished(job.number, {}, {"pid": float(os.getpid())})


def fail(job: Job) -> Iterator[Message]:
    yield RungReached(job.number, 0, 30.0)
    yield Failed(job.number, "bad luck")


def fill_the_disk(job: Job) -> Iterator[Message]:
    yield RungReached(job.number, 0, 30.0)
    raise DiskFull(28, "no space left")


def poll(backend: Backend, count: int) -> list[Message]:
    """So many messages, whatever comes first sorted by its trial."""
    messages = list[Message]()
    end = time.monotonic() + 60
    while len(messages) < count and time.monotonic() < end:
        messages += backend.poll(0.5)
    return sorted(messages, key=lambda message: message.number)


def test_a_trial_waits_at_its_rungs_and_frees_its_slot_at_its_end(make: MakeBackend) -> None:
    with closing(make(two_rungs, 1)) as backend:
        assert backend.free_slots() == 1
        backend.start(job(7))
        assert backend.free_slots() == 0
        assert poll(backend, 1) == [RungReached(7, 0, 30.0)]
        assert backend.poll(0.1) == []
        backend.resume(7)
        assert poll(backend, 2) == [StepDone(7, 1), RungReached(7, 20, 31.0)]
        backend.resume(7)
        [finished] = poll(backend, 1)
        assert isinstance(finished, Finished)
        assert backend.free_slots() == 1
        backend.close()


def test_nothing_more_is_told_of_what_was_stopped(make: MakeBackend) -> None:
    with closing(make(two_rungs, 1)) as backend:
        backend.start(job(0))
        poll(backend, 1)
        backend.stop(0)
        assert backend.free_slots() == 1
        assert backend.poll(0.1) == []
        backend.start(job(1))
        assert poll(backend, 1) == [RungReached(1, 0, 30.0)]


def test_one_that_was_closed_takes_jobs_again(make: MakeBackend) -> None:
    with closing(make(two_rungs, 1)) as backend:
        backend.start(job(0))
        poll(backend, 1)
        backend.close()
        assert backend.free_slots() == 1
        backend.start(job(0))
        assert poll(backend, 1) == [RungReached(0, 0, 30.0)]


def test_several_are_under_way(make: MakeBackend) -> None:
    with closing(make(two_rungs, 2)) as backend:
        for number in (0, 1):
            backend.start(job(number))
        assert backend.free_slots() == 0
        assert poll(backend, 2) == [RungReached(0, 0, 30.0), RungReached(1, 0, 30.0)]
        backend.stop(0)
        backend.resume(1)
        assert poll(backend, 2) == [StepDone(1, 1), RungReached(1, 20, 31.0)]


def test_a_failure_ends_its_trial(make: MakeBackend) -> None:
    with closing(make(fail, 1)) as backend:
        backend.start(job(0))
        poll(backend, 1)
        backend.resume(0)
        assert poll(backend, 1) == [Failed(0, "bad luck")]
        assert backend.free_slots() == 1


def test_a_full_disk_is_raised_or_told(make: MakeBackend) -> None:
    with closing(make(fill_the_disk, 1)) as backend:
        backend.start(job(0))
        poll(backend, 1)
        backend.resume(0)
        try:
            [failed] = poll(backend, 1)
        except DiskFull:
            return
        assert isinstance(failed, Failed)
        assert failed.ends_search
