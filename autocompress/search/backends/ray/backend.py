"""Trials on a Ray cluster: a worker is an actor, with the resources of a trial, that Ray places on some node.

Each call of a worker is answered by its next message (worker.py), so to poll is to wait for the answers of all. Ray
core does what is needed: it places actors where there is room, and says of an unanswered call that its worker is gone.
Ray Tune on top of it would add a loop of its own that asks for trials, decides and retries, which the tuner does for
every backend: between two trials that loop takes most of a second (benchmarks/scale.py), it has no place for a trial
that waits at a rung for an answer, and its searchers, stoppers and callbacks would have to call the tuner back. Nor
does Ray ever restart a worker or repeat a call by itself: a trial whose worker is gone is told as failed, and tried
again as for every backend, from its last rung's state, at most three times, all of them in the study.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from typing_extensions import override

from autocompress.errors import AutocompressError
from autocompress.io import atomic
from autocompress.search.backends.base import Backend, WorkerSetup
from autocompress.search.backends.ray.cluster import Slots
from autocompress.search.backends.ray.worker import PROGRESS, Answer, Worker
from autocompress.search.run.folder import RAY
from autocompress.search.settings import OnRay
from autocompress.search.trial.messages import Failed, Job, Message, RungReached, Shown
from autocompress.units import format_duration, quantity

MAX_NOT_READY = 3  # workers one after the other that may end before they are ready, beside all that were there at once
SHUTDOWN = 5.0  # seconds to wait for workers to be dead
IDLE = 5.0  # seconds
PROGRESS_EVERY = 1.0  # seconds between questions to a worker how far it is


@dataclass(eq=False)
class _Worker:
    """An actor, and what is awaited of it: that it is ready, or its next message on `job`."""

    actor: Any
    awaited: Any | None  # the answer, on its way
    ready: bool = False
    job: Job | None = None
    since: float = field(default_factory=time.monotonic)  # when it got its job, or has none
    progress: Any | None = None  # how far it is, on its way
    asked: float = 0.0  # when
    told: Shown | None = None


class RayBackend(Backend):
    """Trials on the Ray that this process is connected to; `folder` is the run's, `trial_timeout` in seconds.

    A worker is started for each job while there is room, but Ray may take long to place it, or never do: so that job is
    for whoever is free first. Workers that do not see the run folder, as none does where it is not `shared`, send the
    files that they write. One without a job for `idle` seconds gives back what it holds of the cluster.
    """

    def __init__(
        self,
        setup: WorkerSetup,
        wanted: OnRay,
        folder: Path,
        trial_timeout: float | None = None,
        shared: bool = True,
        idle: float = IDLE,
    ) -> None:
        self._setup = setup
        self._wanted = wanted
        self._folder = folder.absolute() / RAY
        # no other folder has it, even under the same path on another node
        self._marker = self._folder / uuid.uuid4().hex
        self._trial_timeout = trial_timeout
        self._shared = shared
        self._idle = idle
        self._slots = Slots(wanted)
        self._sent_setup: Any | None = None  # where Ray has it
        self._workers: list[_Worker] = []
        self._waiting: deque[Job] = deque()  # for a worker that is ready
        self._most = 0  # workers at once
        self._not_ready = 0  # workers that ended before they were ready, since one was

    @override
    def free_slots(self) -> int:
        return max(0, self._slots.now - len(self._waiting) - sum(worker.job is not None for worker in self._workers))

    @override
    def start(self, job: Job) -> None:
        self._waiting.append(replace(job, folder=job.folder.absolute(), state_file=job.state_file.absolute()))
        self._hand_out()
        self._add_workers()

    @override
    def poll(self, timeout: float) -> list[Message]:
        messages = self._end_the_late() + self._shown()
        awaited = {worker.awaited: worker for worker in self._workers if worker.awaited is not None}
        if awaited:
            ray.wait(list(awaited), timeout=0 if messages else timeout)
            answered, _ = ray.wait(list(awaited), num_returns=len(awaited), timeout=0)
            for answer in answered:
                messages += self._receive(awaited[answer])
        self._hand_out()
        self._dismiss_the_idle()
        return messages

    @override
    def resume(self, number: int) -> None:
        worker = self._worker_of(number)
        worker.awaited = worker.actor.resume.remote()

    @override
    def stop(self, number: int) -> None:
        self._release(self._worker_of(number))

    @override
    def close(self) -> None:
        self._kill(self._workers)
        self._workers.clear()
        self._waiting.clear()
        self._sent_setup = None  # the marker goes with the folder
        shutil.rmtree(self._folder, ignore_errors=True)

    def _add_workers(self) -> None:
        """One for each job that waits, beside those that have none."""
        while sum(worker.job is None for worker in self._workers) < len(self._waiting):
            self._workers.append(self._new_worker())
            self._most = max(self._most, len(self._workers))

    def _new_worker(self) -> _Worker:
        if self._sent_setup is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._shared:
                self._marker.touch()
            self._sent_setup = ray.put(self._setup)
        resources = {"num_cpus": self._wanted.cpus, "num_gpus": self._wanted.gpus or 0}
        as_actor = ray.remote(concurrency_groups={PROGRESS: 1}, max_restarts=0, max_task_retries=0, **resources)
        actor = as_actor(Worker).remote(self._sent_setup, self._marker)
        return _Worker(actor, actor.open.remote())

    def _worker_of(self, number: int) -> _Worker:
        return next(worker for worker in self._workers if worker.job is not None and worker.job.number == number)

    def _hand_out(self) -> None:
        for worker in self._workers:
            if self._waiting and worker.ready and worker.job is None:
                job = worker.job = self._waiting.popleft()
                worker.since = time.monotonic()
                state = job.state_file.read_bytes() if job.state_file.is_file() else None
                worker.awaited = worker.actor.start.remote(job, state)

    def _receive(self, worker: _Worker) -> list[Message]:
        """What has been awaited is there."""
        try:
            answer: Answer | str | None = ray.get(worker.awaited)
        except ray.exceptions.RayError as error:
            return self._lose(worker, "its worker's process or node was lost", why=error)
        worker.awaited = None
        if isinstance(answer, str):
            raise AutocompressError(f"a worker cannot begin {answer}; mend that, and the same command goes on")
        if answer is None:
            worker.ready, worker.since = True, time.monotonic()
            self._not_ready = 0
            return []
        if not isinstance(answer.message, RungReached):
            self._release(worker)
        return [_accepted(answer)]

    def _release(self, worker: _Worker) -> None:
        worker.job, worker.since, worker.progress = None, time.monotonic(), None

    def _lose(self, worker: _Worker, reason: str, why: BaseException) -> list[Message]:
        """A worker is gone, and what it worked on with it."""
        self._workers.remove(worker)
        self._kill([worker])  # it may only seem to be gone
        if not worker.ready:
            self._not_ready += 1
            if self._not_ready >= MAX_NOT_READY + self._most - 1:  # a node that goes takes all with it
                raise AutocompressError(
                    f"{quantity(self._not_ready, 'worker')} on Ray ended before they could begin: {_last_line(why)}; "
                    "Ray's logs on their nodes say more"
                )
            self._add_workers()
        return [] if worker.job is None else [Failed(worker.job.number, reason, again=True)]

    def _end_the_late(self) -> list[Message]:
        limit = self._trial_timeout
        if limit is None:
            return []
        now = time.monotonic()
        late = [
            worker
            for worker in self._workers
            if worker.job and worker.awaited and now - worker.since > limit and not _is_there(worker.awaited)
        ]
        self._kill(late)
        self._workers = [worker for worker in self._workers if worker not in late]
        reason = f"it took longer than {format_duration(limit)} (--trial-timeout)"
        return [_last_message(worker, reason) for worker in late]

    def _shown(self) -> list[Message]:
        """How far trials are, of those whose workers have said so; those that have not are asked now and then."""
        messages = list[Message]()
        now = time.monotonic()
        for worker in self._workers:
            if worker.job is None:
                continue
            if worker.progress is None and now - worker.asked > PROGRESS_EVERY:
                worker.progress, worker.asked = worker.actor.progress.remote(), now
            elif worker.progress is not None and _is_there(worker.progress):
                shown, worker.progress = _shown_of(worker.progress), None
                if shown is not None and shown.number == worker.job.number and shown != worker.told:
                    messages.append(shown)
                    worker.told = shown
        return messages

    def _dismiss_the_idle(self) -> None:
        """What they hold of the cluster may be what another session's trials wait for."""
        now = time.monotonic()
        idle = [worker for worker in self._workers if worker.job is None and now - worker.since > self._idle]
        if idle and not self._waiting:
            self._kill(idle)
            self._workers = [worker for worker in self._workers if worker not in idle]

    def _kill(self, workers: Iterable[_Worker]) -> None:
        """And wait until they are dead."""
        dying = []
        for worker in workers:
            ray.kill(worker.actor)
            if worker.ready:
                dying.append(worker.actor.__ray_ready__.remote())  # fails when it is dead
        if dying:
            ray.wait(dying, num_returns=len(dying), timeout=SHUTDOWN)


def _is_there(answer: Any) -> bool:
    there, _ = ray.wait([answer], timeout=0)
    return bool(there)


def _accepted(answer: Answer) -> Message:
    """Its message, once its files are written: student.json last, when all of a student is there."""
    for path, content in sorted(answer.files.items(), key=lambda item: item[0].name == "student.json"):
        atomic.write_bytes(path, content)
    return answer.message


def _last_message(worker: _Worker, reason: str) -> Message:
    """Of one that has been killed for this reason: its trial may have come to its end before."""
    assert worker.job is not None
    try:
        answer: Answer = ray.get(worker.awaited, timeout=SHUTDOWN)
    except ray.exceptions.RayError:
        return Failed(worker.job.number, reason, again=True)
    if isinstance(answer.message, RungReached):
        return Failed(worker.job.number, reason, again=True)
    return _accepted(answer)


def _shown_of(progress: Any) -> Shown | None:
    try:
        shown: Shown | None = ray.get(progress)
    except ray.exceptions.RayError:  # that its worker is gone is seen where its message is awaited
        return None
    return shown


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).split("\n")]
    return next((line for line in reversed(lines) if line), "unknown")
