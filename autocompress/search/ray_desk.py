"""Between workers on Ray and the driver: jobs go out by a mailbox, and what workers tell comes back by it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from autocompress import checkpoints
from autocompress.errors import AutocompressError
from autocompress.quantities import format_duration
from autocompress.search.ray_mailbox import Begun, CannotBegin, Free, Letter, Parcel, Told
from autocompress.search.work import AtRung, Failed, Job, Source

BIRTHS = 3  # workers one after the other that may die before they begin; a node that goes takes one with it at most
GOODBYE = 5.0  # seconds to wait for workers to be dead


class Left(Exception):
    """What ends a search was raised: out through Tune, which cleans up on the way."""


class Desk:
    """Between Tune, the mailbox and the source. What the source raises is kept as `raised`, and Left raised."""

    def __init__(self, source: Source, mailbox: Any, marker: Path, trial_timeout: float | None) -> None:
        self.mailbox = mailbox
        self.raised: BaseException | None = None
        self.interrupted = False
        self._source = source
        self._marker = marker
        self._trial_timeout = trial_timeout
        self._jobs: dict[str, Job] = {}  # by the worker's name, while they are open
        self._begun: dict[str, tuple[float, Any]] = {}  # when, and which actor the worker is
        self._free: deque[str] = deque()
        self._stillborn = 0

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.raised = error
            self._end_all()  # Tune would wait for them
            raise Left from error

    def employ(self, worker: str) -> bool:
        """Whether there is a job for this new worker; if so, it is on its way from now on."""
        with self._leaving():
            return self._post_next(worker)

    def look(self) -> None:
        """Hear what has been told, give free workers jobs, and see to the time."""
        with self._leaving():
            self._hear_all()
            while self._free:
                worker = self._free.popleft()
                if not self._post_next(worker):
                    self.mailbox.post.remote(worker, None)
                self._hear_all()  # to ask the study takes a moment; nobody need wait at a rung for all of them
            if self._trial_timeout is not None:
                self._end_the_late(self._trial_timeout)
            self._source.check()

    def lost(self, worker: str) -> None:
        """It is gone, or was sent away; if its job is open after all it told, it will not be done any more."""
        self.look()
        with self._leaving():
            if worker not in self._jobs:
                return
            if worker not in self._begun:
                self._stillborn += 1
            self._fail(worker, "its worker's process or node was lost")

    def hear_why(self, reason: str) -> None:
        """What Ray says of the worker that was lost last."""
        with self._leaving():
            if self._stillborn >= BIRTHS:
                raise AutocompressError(f"{BIRTHS} workers on Ray ended before they could begin: {reason}")

    def close(self) -> None:
        """No worker writes anything after this."""
        self._end_all()
        ray.kill(self.mailbox)

    def _end_all(self) -> None:
        dying = []
        for _, actor in self._begun.values():
            ray.kill(actor)
            dying.append(actor.__ray_ready__.remote())  # fails when it is dead
        self._begun.clear()
        if dying:
            ray.wait(dying, num_returns=len(dying), timeout=GOODBYE)

    def _post_next(self, worker: str) -> bool:
        job = self._source.next_job()
        if job is None:
            return False
        job = replace(job, folder=job.folder.absolute(), state_file=job.state_file.absolute())
        state = job.state_file.read_bytes() if job.state_file.is_file() else None
        self._jobs[worker] = job
        self.mailbox.post.remote(worker, Parcel(job, self._marker, state))
        return True

    def _hear_all(self) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        for letter in ray.get(self.mailbox.empty.remote()):
            self._hear(letter)

    def _hear(self, letter: Letter) -> None:
        match letter:
            case CannotBegin(reason):
                raise AutocompressError(f"a worker cannot begin {reason}")
            case Begun(worker, actor):
                self._stillborn = 0
                if worker in self._jobs:
                    self._begun[worker] = time.monotonic(), actor
            case Free(worker):
                self._free.append(worker)
            case Told(worker, report, files) if worker in self._jobs:
                for path, content in sorted(
                    files.items(), key=lambda item: item[0].name == "student.json"
                ):  # last: all is there
                    _put(path, content)
                goes_on = self._source.answer(report)
                if not goes_on:
                    self._forget(worker)
                if isinstance(report, AtRung):
                    self.mailbox.decide.remote(worker, goes_on)

    def _end_the_late(self, limit: float) -> None:
        for worker, (began, actor) in list(self._begun.items()):
            if time.monotonic() - began > limit:
                ray.kill(actor)
                self._fail(worker, f"it took longer than {format_duration(limit)} (--trial-timeout)")

    def _fail(self, worker: str, reason: str) -> None:
        job = self._forget(worker)
        self._source.answer(Failed(job.number, reason, again=True))

    def _forget(self, worker: str) -> Job:
        self._begun.pop(worker, None)
        return self._jobs.pop(worker)


def _put(path: Path, content: bytes) -> None:
    def write(place: Path) -> None:
        place.write_bytes(content)

    checkpoints.write_atomically(path, write)
