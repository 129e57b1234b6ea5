"""Trials in this process, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from typing_extensions import override

from autocompress.search.backends.base import Backend
from autocompress.search.trial.messages import Failed, Finished, Job, Message, RungReached, Work


class SerialBackend(Backend):
    """Works on trials within `poll`: each call continues one trial up to its next message.

    With several `slots`, that many trials are running, in turns. `poll` raises what a trial raises.
    """

    def __init__(self, work: Work, slots: int = 1) -> None:
        self._work = work
        self._slots = slots
        self._under_way: dict[int, Iterator[Message]] = {}
        self._turns: deque[int] = deque()  # of those that are not at a rung

    @override
    def free_slots(self) -> int:
        return self._slots - len(self._under_way)

    @override
    def start(self, job: Job) -> None:
        self._under_way[job.number] = iter(self._work(job))
        self._turns.append(job.number)

    @override
    def poll(self, timeout: float) -> list[Message]:
        """Continue one trial to its next message, however long that takes; no message if all wait at a rung."""
        if not self._turns:
            return []
        number = self._turns.popleft()
        message = next(self._under_way[number])
        if isinstance(message, Finished | Failed):
            self._end(number)
        elif not isinstance(message, RungReached):
            self._turns.append(number)
        return [message]

    @override
    def resume(self, number: int) -> None:
        self._turns.append(number)

    @override
    def stop(self, number: int) -> None:
        self._end(number)

    @override
    def close(self) -> None:
        for number in list(self._under_way):
            self._end(number)

    def _end(self, number: int) -> None:
        work = self._under_way.pop(number)
        with suppress(ValueError):
            self._turns.remove(number)
        if (close := getattr(work, "close", None)) is not None:  # a generator, which may hold files
            close()
