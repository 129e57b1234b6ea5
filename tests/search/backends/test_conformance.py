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

MakeBackend = Callable[[int], Backend]


class Ready:
    """Workers that do with each job what the name of its folder says."""

    def open(self) -> Work:
        return work


@pytest.fixture(params=["serial", "processes"], scope="module")
def make(request: pytest.FixtureRequest) -> MakeBackend:
    """From how many jobs at once."""
    if request.param == "serial":
        return lambda slots: SerialBackend(work, slots)
    return lambda slots: ProcessBackend(Ready(), slots)


@pytest.fixture(scope="module")
def shared(make: MakeBackend) -> Iterator[Backend]:
    """One for one job at once; whoever uses it leaves its slot free, so that the next one's job goes to its worker."""
    with closing(make(1)) as backend:
        yield backend


@pytest.fixture
def backend(shared: Backend) -> Iterator[Backend]:
    """That one, with a free slot before and after."""
    assert shared.free_slots() == 1
    yield shared
    assert shared.free_slots() == 1


def job(number: int, kind: str = "two_rungs") -> Job:
    return Job(number, None, Path(kind), Path("absent"))  # type: ignore[arg-type]


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


def work(job: Job) -> Iterator[Message]:
    return {"two_rungs": two_rungs, "fail": fail, "fill_the_disk": fill_the_disk}[job.folder.name](job)


def poll(backend: Backend, count: int) -> list[Message]:
    """So many messages, whatever comes first sorted by its trial."""
    messages = list[Message]()
    end = time.monotonic() + 60
    while len(messages) < count and time.monotonic() < end:
        messages += backend.poll(0.5)
    return sorted(messages, key=lambda message: message.number)


def test_a_trial_waits_at_its_rungs_and_frees_its_slot_at_its_end(backend: Backend) -> None:
    backend.start(job(7))
    assert backend.free_slots() == 0
    assert poll(backend, 1) == [RungReached(7, 0, 30.0)]
    assert backend.poll(0.1) == []
    backend.resume(7)
    assert poll(backend, 2) == [StepDone(7, 1), RungReached(7, 20, 31.0)]
    backend.resume(7)
    [finished] = poll(backend, 1)
    assert isinstance(finished, Finished)


def test_nothing_more_is_told_of_what_was_stopped(backend: Backend) -> None:
    backend.start(job(0))
    poll(backend, 1)
    backend.stop(0)
    assert backend.free_slots() == 1
    assert backend.poll(0.1) == []
    backend.start(job(1))
    assert poll(backend, 1) == [RungReached(1, 0, 30.0)]
    backend.stop(1)


def test_a_failure_ends_its_trial(backend: Backend) -> None:
    backend.start(job(0, "fail"))
    poll(backend, 1)
    backend.resume(0)
    assert poll(backend, 1) == [Failed(0, "bad luck")]


def test_a_full_disk_is_raised_or_told(backend: Backend) -> None:
    backend.start(job(0, "fill_the_disk"))
    poll(backend, 1)
    backend.resume(0)
    try:
        [failed] = poll(backend, 1)
    except DiskFull:
        backend.close()  # as the search does that it ends
        return
    assert isinstance(failed, Failed)
    assert failed.ends_search


def test_one_that_was_closed_takes_jobs_again(backend: Backend) -> None:
    backend.start(job(0))
    poll(backend, 1)
    backend.close()
    backend.close()
    assert backend.free_slots() == 1
    backend.start(job(0))
    assert poll(backend, 1) == [RungReached(0, 0, 30.0)]
    backend.stop(0)


def test_several_are_under_way(make: MakeBackend) -> None:
    with closing(make(2)) as backend:
        for number in (0, 1):
            backend.start(job(number))
        assert backend.free_slots() == 0
        assert poll(backend, 2) == [RungReached(0, 0, 30.0), RungReached(1, 0, 30.0)]
        backend.stop(0)
        backend.resume(1)
        assert poll(backend, 2) == [StepDone(1, 1), RungReached(1, 20, 31.0)]
