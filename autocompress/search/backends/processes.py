"""Trials in several processes on one machine, one a slot; a worker that is killed or hangs is replaced."""

from __future__ import annotations

import multiprocessing
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from typing_extensions import override

from autocompress.compute.precision import Precision
from autocompress.errors import AutocompressError, RunError
from autocompress.search.backends.base import Backend, WorkerSetup, guarded
from autocompress.search.backends.worker_process import start_worker
from autocompress.search.run.crops import Pieces
from autocompress.search.settings import Settings
from autocompress.search.task import open_task
from autocompress.search.trial.messages import Failed, Finished, Job, Message, RungReached, Work
from autocompress.search.trial.piece import work_on
from autocompress.search.trial.preparation import prepare
from autocompress.units import format_duration

PATIENCE = 0.5  # seconds for a process that has closed its connection to end
OPENING = 120.0  # seconds that a worker always has to get ready: it imports PyTorch and reads the images
MAX_NOT_READY = 3  # workers in a row that end before they are ready; then the search ends, as others would end too


@dataclass(frozen=True)
class TaskSetup:
    """A worker with the same task as the search; what its trials share is in the cache by now.

    `digests` are those of the search's images, teachers and targets: a worker may begin hours later.
    """

    settings: Settings
    digests: dict[str, str]
    precision: Precision
    crops: Pieces

    def open(self) -> Work:
        """Raises InvalidInput and DataError where teachers or images cannot be read any more, or are others by now."""
        task = open_task(self.settings)
        now = task.digests
        if changed := [what for what in now if now[what] != self.digests.get(what)]:
            raise RunError(
                f"{' and '.join(changed)} changed while the search ran, and a new worker would train and score with "
                "others; put back what was there, and the same command goes on"
            )
        context = prepare(task, precision=self.precision, crops=self.crops)
        return partial(work_on, context=context)


@dataclass(frozen=True)
class _Ready:
    """A worker's first message."""


@dataclass(frozen=True)
class _Unable:
    """A worker's only message where it cannot get ready: it ends then, and says why."""

    reason: str


@dataclass(eq=False)
class _Worker:
    """A process and the connection to it; `job` is what it works on, None while it has none.

    `started` is when that began, or when it was given to a worker that was not ready yet.
    """

    process: SpawnProcess
    connection: Connection
    job: Job | None = None
    started: float = 0.0
    ready: bool = False

    @classmethod
    def start(cls, setup: WorkerSetup) -> _Worker:
        connection, theirs = multiprocessing.Pipe()
        process = start_worker(serve, theirs, setup)
        theirs.close()
        return cls(process, connection)

    def begin(self, job: Job) -> None:
        self.job, self.started = job, time.monotonic()
        self.send(job)

    def send(self, what: Job | bool) -> None:
        """Send something to the worker; ignored if it has just died, which `poll` notices at its connection."""
        with suppress(OSError):
            self.connection.send(what)

    def end(self) -> None:
        """Kill it, if it still runs."""
        self.process.kill()
        self.process.join()
        self.connection.close()


class ProcessBackend(Backend):
    """`count` processes; a trial that takes longer than `trial_timeout` seconds is killed with its worker.

    So is a worker that is not ready after that time, or after `opening` where that is longer.
    """

    def __init__(
        self, setup: WorkerSetup, count: int, trial_timeout: float | None = None, opening: float = OPENING
    ) -> None:
        self._setup = setup
        self._count = count
        self._trial_timeout = trial_timeout
        self._opening = opening
        self._workers: list[_Worker] = []
        self._not_ready = 0  # workers that ended before they were ready, since one was

    @override
    def free_slots(self) -> int:
        return self._count - sum(worker.job is not None for worker in self._workers)

    @override
    def start(self, job: Job) -> None:
        worker = next((worker for worker in self._workers if worker.job is None), None)
        if worker is None:
            worker = _Worker.start(self._setup)
            self._workers.append(worker)
        worker.begin(job)

    @override
    def poll(self, timeout: float) -> list[Message]:
        messages = self._end_the_late()
        by_connection = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), 0 if messages else timeout):
            assert isinstance(connection, Connection)
            messages += self._receive(by_connection[connection])
        return messages

    @override
    def resume(self, number: int) -> None:
        self._worker_of(number).send(True)

    @override
    def stop(self, number: int) -> None:
        worker = self._worker_of(number)
        worker.job = None
        worker.send(False)

    @override
    def close(self) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def _worker_of(self, number: int) -> _Worker:
        return next(worker for worker in self._workers if worker.job is not None and worker.job.number == number)

    def _receive(self, worker: _Worker) -> list[Message]:
        try:
            message: Message | _Ready | _Unable = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(PATIENCE)
            return self._lose(worker, how_it_ended(worker.process.exitcode))
        if isinstance(message, _Ready):
            worker.ready, worker.started = True, time.monotonic()
            self._not_ready = 0
            return []
        if isinstance(message, _Unable):  # and so would be all others
            raise AutocompressError(message.reason)
        if isinstance(message, Finished | Failed):
            worker.job = None
        return [message]

    def _end_the_late(self) -> list[Message]:
        """Kill workers that are over their time, unless a message of theirs is waiting to be read."""
        messages = list[Message]()
        if self._trial_timeout is None:
            return messages
        for worker in list(self._workers):
            limit = self._trial_timeout if worker.ready else max(self._trial_timeout, self._opening)
            late = worker.job is not None and time.monotonic() - worker.started > limit
            if late and not worker.connection.poll():
                what = "it took longer than" if worker.ready else "its worker was not ready after"
                messages += self._lose(worker, f"{what} {format_duration(limit)} (--trial-timeout)")
        return messages

    def _lose(self, worker: _Worker, reason: str) -> list[Message]:
        """Replace a worker that is gone; its trial has failed."""
        self._workers.remove(worker)
        worker.end()
        self._not_ready += not worker.ready
        if self._not_ready == MAX_NOT_READY:
            raise AutocompressError(f"a worker ended before it could begin: {reason}; what it printed says more")
        return [] if worker.job is None else [Failed(worker.job.number, reason, again=True)]


def how_it_ended(code: int | None) -> str:
    """In words, by the exit code of a process; None where it has none yet."""
    if code == -signal.SIGKILL:
        return "its process was killed (signal 9), as systems do that run out of memory"
    if code is not None and code < 0 and -code == getattr(signal, "SIGBUS", None):
        return (
            f"its process was ended by a bus error (signal {-code}): a file that it reads was cut short meanwhile, "
            "such as one of the cache, or its disk failed"
        )
    if code is not None and code < 0:
        return f"its process was ended by signal {-code} ({signal.strsignal(-code) or 'unknown'})"
    return f"its process ended with code {code}"


def serve(connection: Connection, setup: WorkerSetup) -> None:
    """What a worker process does: get ready, then work on jobs until the connection is closed."""
    try:
        try:
            work = setup.open()
        except AutocompressError as error:
            connection.send(_Unable(str(error)))
            return
        connection.send(_Ready())
        while True:
            job: Job = connection.recv()
            for message in guarded(work, job):
                connection.send(message)
                if isinstance(message, RungReached) and not connection.recv():
                    break
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
