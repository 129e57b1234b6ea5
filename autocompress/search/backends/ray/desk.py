"""Between workers on Ray and the driver: jobs go out by a mailbox, and what workers tell comes back by it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from autocompress.errors import AutocompressError
from autocompress.io import checkpoints
from autocompress.search.backends.ray.mailbox import CannotBegin, Free, Letter, Parcel, Told
from autocompress.search.trial.work import Failed, Job, Report, RungReached, Source
from autocompress.units import format_duration

BIRTHS = 3  # workers one after the other that may die before they begin, beside all that were begun at once
GOODBYE = 5.0  # seconds to wait for workers to be dead


class Left(Exception):
    """What ends a search was raised: out through Tune, which cleans up on the way."""


class Desk:
    """Between Tune, the mailbox and the source. What the source raises is kept as `raised`, and Left raised.

    A worker that is employed has a job waiting for it, but Ray may take long to place it, or never do: so that job is
    for whoever is free first.
    """

    def __init__(self, source: Source, mailbox: Any, marker: Path, trial_timeout: float | None) -> None:
        self.mailbox = mailbox
        self.raised: BaseException | None = None
        self.interrupted = False
        self._source = source
        self._marker = marker
        self._trial_timeout = trial_timeout
        self._waiting: deque[Job] = deque()
        self._none_left = False  # when the source was asked last, and nothing has ended since
        self._employed: dict[str, Any] = {}  # by name: the actor, once the worker has told of itself
        self._most = 0  # employed at once
        self._stillborn = 0
        self._free: deque[str] = deque()
        self._jobs: dict[str, tuple[Job, float]] = {}  # by the worker's name, and since when

    @property
    def done(self) -> bool:
        """Whether nothing is in flight, and nothing is left to do."""
        return self._none_left and not self._jobs and not self._waiting

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        if self.raised is not None:  # Tune goes on where it hears of it while it ends a worker
            raise Left from self.raised
        try:
            yield
        except BaseException as error:
            self.raised = error
            self._kill(self._jobs)  # Tune would wait for them
            raise Left from error

    def employ(self, worker: str) -> bool:
        """Whether there is one more job; if so, this new worker is expected."""
        with self._leaving():
            job = self._next_job()
            if job is None:
                return False
            self._waiting.append(job)
            self._employed[worker] = None
            self._most = max(self._most, len(self._employed))
            return True

    def look(self) -> None:
        """Hear what has been told, give free workers jobs, and see to the time."""
        with self._leaving():
            self._hear_all()
            while self._free:
                self._give_job(self._free.popleft())
                self._hear_all()  # to ask the study takes a moment; nobody need wait at a rung for all of them
            if self._trial_timeout is not None:
                self._end_the_late(self._trial_timeout)
            self._source.check()

    def lost(self, worker: str) -> None:
        """It is gone, or was sent away; if its job is open after all it told, it will not be done any more."""
        with self._leaving():
            self._hear_all()
            if worker in self._employed and self._employed[worker] is None:
                self._stillborn += 1
            self._dismiss(worker)
            if worker in self._jobs:
                self._fail(worker, "its worker's process or node was lost")

    def hear_why(self, reason: str) -> None:
        """What Ray says of the worker that was lost last."""
        with self._leaving():
            if self._stillborn >= BIRTHS + self._most - 1:  # a node that goes takes all with it
                raise AutocompressError(f"{self._stillborn} workers on Ray ended before they could begin: {reason}")

    def close(self) -> None:
        """No worker writes anything after this."""
        self._kill(self._jobs)
        ray.kill(self.mailbox)

    def _next_job(self) -> Job | None:
        job = self._source.next_job()
        self._none_left = job is None
        return job

    def _give_job(self, worker: str) -> None:
        """To one that waits for it; if there is none, it ends."""
        job = self._waiting.popleft() if self._waiting else self._next_job()
        parcel = None
        if job is not None:
            job = replace(job, folder=job.folder.absolute(), state_file=job.state_file.absolute())
            state = job.state_file.read_bytes() if job.state_file.is_file() else None
            self._jobs[worker] = job, time.monotonic()
            parcel = Parcel(job, self._marker, state)
        self.mailbox.post.remote(worker, parcel)

    def _hear_all(self) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        try:
            letters = ray.get(self.mailbox.empty.remote())
        except ray.exceptions.RayError as error:
            raise AutocompressError(
                f"what the search and its workers on Ray tell each other by was lost ({type(error).__name__}), as when "
                "memory runs out; the same command goes on"
            ) from error
        for letter in letters:
            self._hear(letter)

    def _hear(self, letter: Letter) -> None:
        match letter:
            case CannotBegin(reason):
                raise AutocompressError(f"a worker cannot begin {reason}")
            case Free(worker, actor) if worker in self._employed:
                self._stillborn = 0
                self._employed[worker] = actor
                self._free.append(worker)
            case Told(worker, report, files) if self._has(worker, report):
                for path, content in sorted(
                    files.items(), key=lambda item: item[0].name == "student.json"
                ):  # last: all is there
                    _put(path, content)
                goes_on = self._source.answer(report)
                if not goes_on:
                    self._forget(worker)
                if isinstance(report, RungReached):
                    self.mailbox.decide.remote(worker, goes_on)

    def _has(self, worker: str, report: Report) -> bool:
        """Nobody waits for what a worker tells of its steps: it may come late."""
        return worker in self._jobs and self._jobs[worker][0].number == report.number

    def _end_the_late(self, limit: float) -> None:
        late = [worker for worker, (_, began) in self._jobs.items() if time.monotonic() - began > limit]
        if late:
            self._kill(late)
            self._hear_all()
        for worker in late:
            self._dismiss(worker)
            if worker in self._jobs:
                self._fail(worker, f"it took longer than {format_duration(limit)} (--trial-timeout)")

    def _kill(self, workers: Iterable[str]) -> None:
        """And wait until they are dead."""
        dying = []
        for worker in workers:
            if (actor := self._employed.get(worker)) is not None:
                ray.kill(actor)
                dying.append(actor.__ray_ready__.remote())  # fails when it is dead
        if dying:
            ray.wait(dying, num_returns=len(dying), timeout=GOODBYE)

    def _dismiss(self, worker: str) -> None:
        """No job goes to it any more, whatever it has told."""
        self._employed.pop(worker, None)
        if worker in self._free:
            self._free.remove(worker)

    def _fail(self, worker: str, reason: str) -> None:
        job = self._forget(worker)
        self._source.answer(Failed(job.number, reason, again=True))

    def _forget(self, worker: str) -> Job:
        self._none_left = False  # it may be tried again
        job, _ = self._jobs.pop(worker)
        return job


def _put(path: Path, content: bytes) -> None:
    def write(place: Path) -> None:
        place.write_bytes(content)

    checkpoints.write_atomically(path, write)
