"""What a search and its trials on Ray tell each other: letters in a mailbox, which is an actor beside the search.

The driver, with its study and its rungs, lives in the search's process, and Ray cannot call into that. So workers leave
letters in the mailbox and wait there for decisions; the search empties it a few times a second.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autocompress.search.trial.work import Job, Report, RungReached


@dataclass(frozen=True)
class Parcel:
    """A job on its way to a worker.

    A worker that sees `marker` sees the run folder, and writes there; any other works in a folder of its own, from
    `state` (what an earlier attempt came to, if there was one), and sends what it writes.
    """

    job: Job
    marker: Path
    state: bytes | None


@dataclass(frozen=True)
class Free:
    """A worker has all it needs, and waits for a job or to be sent away; `actor` is the handle by which to kill it."""

    worker: str
    actor: Any


@dataclass(frozen=True)
class CannotBegin:
    """A worker cannot open what it needs, for this reason, which names the node."""

    reason: str


@dataclass(frozen=True)
class Told:
    """A worker's report, after which the search has these `files`, by where they belong."""

    worker: str
    report: Report
    files: dict[Path, bytes] = field(default_factory=dict)


Letter = CannotBegin | Free | Told


class Broker:
    """The actor. Its methods run in one event loop, so none is interrupted but where it waits."""

    def __init__(self) -> None:
        self._letters: list[Letter] = []
        self._parcels: dict[str, Parcel | None] = {}
        self._decisions: dict[str, bool] = {}
        self._changed = asyncio.Condition()

    async def post(self, worker: str, parcel: Parcel | None) -> None:
        """Put a job here for a worker, or that there is none."""
        async with self._changed:
            self._parcels[worker] = parcel
            self._changed.notify_all()

    async def collect(self, worker: str, actor: Any) -> Parcel | None:
        """Leave a letter that a worker is free, and come back with its next job, or None where there is none."""
        self._letters.append(Free(worker, actor))
        async with self._changed:
            await self._changed.wait_for(lambda: worker in self._parcels)
            return self._parcels.pop(worker)

    async def tell(self, letter: Letter) -> bool:
        """Leave a letter; at a rung, come back with the decision whether to go on."""
        self._letters.append(letter)
        if not (isinstance(letter, Told) and isinstance(letter.report, RungReached)):
            return True
        worker = letter.worker
        async with self._changed:
            await self._changed.wait_for(lambda: worker in self._decisions)
            return self._decisions.pop(worker)

    async def decide(self, worker: str, goes_on: bool) -> None:
        """For who waits at a rung."""
        async with self._changed:
            self._decisions[worker] = goes_on
            self._changed.notify_all()

    async def empty(self) -> list[Letter]:
        """All letters, in the order they came."""
        letters, self._letters = self._letters, []
        return letters
