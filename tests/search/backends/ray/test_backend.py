"""The backend on Ray alone, with a Ray of its own: whom it gives jobs, whatever becomes of workers."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers.programs import descendants

from autocompress.search import OnRay
from autocompress.search.trial.messages import Failed, Finished, Job, Message, RungReached, StepDone, Work

ray = pytest.importorskip("ray", reason="Ray is not installed")

CPUS = 2
AT_ONCE = OnRay(workers=CPUS)


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    from autocompress.search.backends.ray.cluster import connected

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # for this file, on the workers
        with connected(OnRay(workers=CPUS)):
            yield


pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("local_ray")]


class Setup:
    """Workers that do this with each job."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def open(self) -> Work:
        return self._work


def job(number: int, folder: Path) -> Job:
    return Job(number, None, folder / f"{number:04d}", folder / "absent.pt")  # type: ignore[arg-type]


def finish(job: Job) -> Iterator[Message]:
    yield Finished(job.number, {}, {"pid": float(os.getpid())})


def two_rungs(job: Job) -> Iterator[Message]:
    yield RungReached(job.number, 0, 30.0)
    yield StepDone(job.number, 7)
    time.sleep(3)
    yield RungReached(job.number, 20, 31.0)
    yield Finished(job.number, {}, {})


def wait(job: Job) -> Iterator[Message]:
    yield RungReached(job.number, 0, 30.0)
    time.sleep(1000)


def die(job: Job) -> Iterator[Message]:
    os._exit(1)
    yield


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """One whose workers do this with each job."""
    from autocompress.search.backends.ray.backend import RayBackend

    made = []

    def make(work: Work, wanted: OnRay = AT_ONCE, **options: Any) -> RayBackend:
        made.append(RayBackend(Setup(work), wanted, tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        with closing(one):
            pass


def poll_until(backend: Any, count: int, seconds: float = 60) -> list[Message]:
    """So many messages."""
    messages = list[Message]()
    end = time.monotonic() + seconds
    while len(messages) < count:
        assert time.monotonic() < end, messages
        messages += backend.poll(0.5)
    return messages


def test_a_ray_that_we_start_listens_on_this_machine_alone() -> None:
    """Whoever reaches it can run code."""
    links = [link for pid in descendants(os.getpid()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = {str(link.readlink()) for link in links if link.is_symlink()}
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, address, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                listening.append(address.partition(":")[0])
    assert listening
    assert {address[-8:] for address in listening} == {"0100007F"}  # 127.0.0.1, or ::ffff:127.0.0.1


def test_a_trial_waits_at_its_rungs(backend: Callable[..., Any], tmp_path: Path) -> None:
    backend = backend(two_rungs)
    backend.start(job(4, tmp_path))
    assert poll_until(backend, 1) == [RungReached(4, 0, 30.0)]
    backend.resume(4)
    assert poll_until(backend, 2) == [StepDone(4, 7), RungReached(4, 20, 31.0)]
    assert backend.free_slots() == CPUS - 1
    backend.stop(4)
    assert backend.free_slots() == CPUS
    assert backend.poll(1.0) == []


def test_a_job_is_for_whoever_is_free_first(backend: Callable[..., Any], tmp_path: Path) -> None:
    """A worker that Ray never finds a place for keeps none from being done."""
    backend = backend(finish, OnRay(workers=3, cpus=int(ray.cluster_resources()["CPU"])))
    for number in range(3):
        backend.start(job(number, tmp_path))
    assert backend.free_slots() == 0
    messages = poll_until(backend, 3)
    assert {message.number for message in messages} == {0, 1, 2}
    assert len({message.seconds["pid"] for message in messages if isinstance(message, Finished)}) == 1


def test_a_worker_takes_one_job_after_the_other(backend: Callable[..., Any], tmp_path: Path) -> None:
    backend = backend(finish)
    pids = set()
    for number in range(4):
        backend.start(job(number, tmp_path))
        [message] = poll_until(backend, 1)
        pids.add(message.seconds["pid"])
    assert len(pids) == 1


def test_a_job_of_a_lost_worker_fails(backend: Callable[..., Any], tmp_path: Path) -> None:
    backend = backend(die)
    backend.start(job(0, tmp_path))
    assert poll_until(backend, 1) == [Failed(0, "its worker's process or node was lost", again=True)]
    assert backend.free_slots() == CPUS


def test_a_late_worker_is_killed(backend: Callable[..., Any], tmp_path: Path) -> None:
    backend = backend(wait, trial_timeout=1.0)
    backend.start(job(0, tmp_path))
    assert poll_until(backend, 1) == [RungReached(0, 0, 30.0)]
    time.sleep(1.5)
    assert backend.poll(0.5) == []  # it waits for an answer, and takes no time
    backend.resume(0)
    assert poll_until(backend, 1) == [Failed(0, "it took longer than 1s (--trial-timeout)", again=True)]


def test_a_late_worker_may_have_finished_before_it_was_killed(backend: Callable[..., Any], tmp_path: Path) -> None:
    """Or the trial would have two students."""
    backend = backend(finish, trial_timeout=0.5)
    backend.start(job(0, tmp_path))
    while backend._workers[0].job is None:
        assert backend.poll(0.1) == []
    time.sleep(2)
    [message] = poll_until(backend, 1)
    assert isinstance(message, Finished)


def test_a_worker_without_a_job_gives_back_what_it_holds(backend: Callable[..., Any], tmp_path: Path) -> None:
    """And the next job gets a new one."""
    backend = backend(finish, idle=0.5)
    backend.start(job(0, tmp_path))
    poll_until(backend, 1)
    time.sleep(1)
    backend.poll(0.0)
    assert backend._workers == []
    backend.start(job(1, tmp_path))
    [message] = poll_until(backend, 1)
    assert message.number == 1
