"""The engine of several processes on one machine, one a slot: it outlives a worker that is killed or hangs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol

from autocompress.compute.precision import Precision
from autocompress.errors import AutocompressError, DiskFull
from autocompress.search.run.crops import Pieces
from autocompress.search.settings import Settings
from autocompress.search.task import open_task
from autocompress.search.trial.context import TrialContext
from autocompress.search.trial.work import Failed, Finished, Job, Report, RungReached, Source, Step, Tell, work
from autocompress.units import format_duration

POLL = 0.5  # seconds between looks at the clock
STEP_EVERY = 0.1  # seconds between steps that a worker tells of
OPENING = 120.0  # seconds that a worker has to open its setup at least: it imports PyTorch and reads the images
MAX_STILLBORN = 3  # that many in a row, and the next would fare no better
READY = "ready"


Work = Callable[[Job, Tell], None]


class Setup(Protocol):
    """How a worker, in a process of its own, comes to be able to work; it is sent there by pickle."""

    def open(self) -> Work:
        """What works on jobs."""


@dataclass(frozen=True)
class TaskSetup:
    """The same task as the search's; what its trials share is in the cache by now."""

    settings: Settings
    precision: Precision
    crops: Pieces

    def open(self) -> Work:
        """See `Setup.open`."""
        inputs = TrialContext(open_task(self.settings), lambda _: None, self.precision, crops=self.crops)
        return lambda job, tell: work(job, inputs, tell)


class _Worker:
    """A process and the connection to it; `job` is what it works on, None while it has none.

    `started` is when that began, or when it was given to a worker that was not ready yet.
    """

    def __init__(self, setup: Setup) -> None:
        self.job: Job | None = None
        self.started = 0.0
        self.ready = False
        context = multiprocessing.get_context("spawn")  # a forked process cannot use CUDA, nor torch's threads
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=serve, args=(theirs, setup), daemon=True)
        self.process.start()
        theirs.close()

    def begin(self, job: Job) -> None:
        self.job, self.started = job, time.monotonic()
        self.say(job)

    def say(self, what: Job | bool) -> None:
        """Nothing to one that has just died: that is heard from its connection, as of any other."""
        with suppress(OSError):
            self.connection.send(what)

    def end(self) -> None:
        """Kill it, if it still runs."""
        self.process.kill()
        self.process.join()
        self.connection.close()


class ProcessBackend:
    """`count` processes; a trial that takes longer than `trial_timeout` seconds is killed with its worker.

    So is a worker that is not ready after that time, or after OPENING where that is longer.
    """

    def __init__(self, setup: Setup, count: int, trial_timeout: float | None = None) -> None:
        self._setup = setup
        self._count = count
        self._trial_timeout = trial_timeout
        self._workers: list[_Worker] = []
        self._stillborn = 0  # workers that ended before they could begin, since one could

    def run(self, source: Source) -> None:
        """See `Engine.run`."""
        try:
            while self._begin(source):
                for worker in self._speaking():
                    self._hear(worker, source)
                self._end_the_late(source)
                source.check()
        finally:
            for worker in self._workers:
                worker.end()
            self._workers.clear()

    def _begin(self, source: Source) -> bool:
        """Give work to who has none; whether any is in flight."""
        idle = [worker for worker in self._workers if worker.job is None]
        while (idle or len(self._workers) < self._count) and (job := source.next_job()) is not None:
            if not idle:
                self._workers.append(_Worker(self._setup))
                idle.append(self._workers[-1])
            idle.pop().begin(job)
        return any(worker.job is not None for worker in self._workers)

    def _speaking(self) -> Iterable[_Worker]:
        by_connection = {worker.connection: worker for worker in self._workers}
        return [by_connection[one] for one in wait(list(by_connection), POLL) if isinstance(one, Connection)]

    def _hear(self, worker: _Worker, source: Source) -> None:
        try:
            said = worker.connection.recv()
        except (EOFError, OSError):
            self._lose(worker, source, _how_it_ended(worker.process))
            return
        if said == READY:
            worker.ready, worker.started = True, time.monotonic()
            self._stillborn = 0
            return
        report: Report = said
        goes_on = source.answer(report)
        if isinstance(report, Finished | Failed) or not goes_on:
            worker.job = None
        if isinstance(report, RungReached):
            worker.say(goes_on)

    def _end_the_late(self, source: Source) -> None:
        if self._trial_timeout is None:
            return
        for worker in list(self._workers):
            limit = self._trial_timeout if worker.ready else max(self._trial_timeout, OPENING)
            if worker.job is not None and time.monotonic() - worker.started > limit:
                what = "it took longer than" if worker.ready else "its worker was not ready after"
                self._lose(worker, source, f"{what} {format_duration(limit)} (--trial-timeout)")

    def _lose(self, worker: _Worker, source: Source, reason: str) -> None:
        """A worker is gone, and what it worked on with it."""
        self._workers.remove(worker)
        worker.end()
        self._stillborn += not worker.ready
        if self._stillborn == MAX_STILLBORN:
            raise AutocompressError(f"a worker ended before it could begin: {reason}; what it printed says more")
        if worker.job is not None:
            source.answer(Failed(worker.job.number, reason, again=True))


def _how_it_ended(process: SpawnProcess) -> str:
    process.join(POLL)
    code = process.exitcode
    if code == -signal.SIGKILL:
        return "its process was killed (signal 9), as systems do that run out of memory"
    return f"its process ended with code {code}"


def _end_with_the_search() -> None:
    """At once: a worker that outlived its search would write a student that another session makes again."""
    search = multiprocessing.parent_process()
    if search is not None:
        search.join()
        os._exit(1)


def serve(connection: Connection, setup: Setup) -> None:
    """A worker's life: work on what comes, until nobody is there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the search, which ends its workers
    threading.Thread(target=_end_with_the_search, daemon=True).start()
    told = 0.0

    def tell(report: Report) -> bool:
        nonlocal told
        if isinstance(report, Step):
            if time.monotonic() - told < STEP_EVERY:
                return True
            told = time.monotonic()
        connection.send(report)
        return bool(connection.recv()) if isinstance(report, RungReached) else True

    try:
        do = setup.open()
        connection.send(READY)
        while True:
            job: Job = connection.recv()
            try:
                do(job, tell)
            except DiskFull as error:
                connection.send(Failed(job.number, str(error), ends_search=True))
            except (EOFError, BrokenPipeError, ConnectionResetError):
                raise
            except Exception as error:  # a fault of ours: this trial's end, not the search's
                connection.send(Failed(job.number, f"{type(error).__name__}: {error}"))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the search is gone
