"""Between Ray Tune and the driver: jobs go out by a mailbox, and what workers tell comes back by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from autocompress import checkpoints
from autocompress.errors import AutocompressError
from autocompress.quantities import format_duration
from autocompress.search.ray_mailbox import Begun, CannotBegin, Letter, Parcel, Told
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
        self._open: dict[int, Job] = {}
        self._begun: dict[int, tuple[float, Any]] = {}  # when, and by which actor
        self._stillborn = 0

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.raised = error
            self._end_all()  # Tune would wait for them
            raise Left from error

    def next_number(self) -> int | None:
        """Of a job that is on its way from now on."""
        with self._leaving():
            job = self._source.next_job()
            if job is None:
                return None
            job = replace(job, folder=job.folder.absolute(), state_file=job.state_file.absolute())
            state = job.state_file.read_bytes() if job.state_file.is_file() else None
            self._open[job.number] = job
            self.mailbox.post.remote(Parcel(job, self._marker, state))
            return job.number

    def look(self) -> None:
        """Hear what has been told, and see to the time."""
        with self._leaving():
            if self.interrupted:
                raise KeyboardInterrupt
            for letter in ray.get(self.mailbox.empty.remote()):
                self._hear(letter)
            if self._trial_timeout is not None:
                self._end_the_late(self._trial_timeout)
            self._source.check()

    def lost(self, number: int) -> None:
        """A worker is gone, or done; if its job is open after all it told, it will not be done any more."""
        self.look()
        with self._leaving():
            if number not in self._open:
                return
            if number not in self._begun:
                self._stillborn += 1
            self._fail(number, "its worker's process or node was lost")

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

    def _hear(self, letter: Letter) -> None:
        match letter:
            case CannotBegin(reason):
                raise AutocompressError(f"a worker cannot begin {reason}")
            case Begun(number, actor):
                self._stillborn = 0
                if number in self._open:
                    self._begun[number] = time.monotonic(), actor
            case Told(report, files) if report.number in self._open:
                for path, content in sorted(
                    files.items(), key=lambda item: item[0].name == "student.json"
                ):  # last: all is there
                    _put(path, content)
                goes_on = self._source.answer(report)
                if not goes_on:
                    self._forget(report.number)
                if isinstance(report, AtRung):
                    self.mailbox.decide.remote(report.number, goes_on)

    def _end_the_late(self, limit: float) -> None:
        for number, (began, actor) in list(self._begun.items()):
            if time.monotonic() - began > limit:
                ray.kill(actor)
                self._fail(number, f"it took longer than {format_duration(limit)} (--trial-timeout)")

    def _fail(self, number: int, reason: str) -> None:
        self._forget(number)
        self._source.answer(Failed(number, reason, again=True))

    def _forget(self, number: int) -> None:
        self._open.pop(number, None)
        self._begun.pop(number, None)


def _put(path: Path, content: bytes) -> None:
    def write(place: Path) -> None:
        place.write_bytes(content)

    checkpoints.write_atomically(path, write)
