"""Backend: the interface between the tuner and the place where trials run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

from autocompress.errors import DiskFull
from autocompress.search.trial.messages import Failed, Job, Message, Work


class Backend(ABC):
    """Works on jobs, and reports with messages. It decides nothing, and never calls the tuner.

    Each job that is started ends with a message Finished or Failed, or by a call of `stop`.
    """

    @abstractmethod
    def free_slots(self) -> int:
        """How many more jobs can be started now."""

    @abstractmethod
    def start(self, job: Job) -> None:
        """Begin to work on a job; there must be a free slot."""

    @abstractmethod
    def poll(self, timeout: float) -> list[Message]:
        """The messages since the last poll; if there are none, waits up to `timeout` seconds for one.

        Raises errors that are not a single trial's, such as DiskFull or workers that cannot begin; they end the search.
        """

    @abstractmethod
    def resume(self, number: int) -> None:
        """Let a trial that has reached a rung go on."""

    @abstractmethod
    def stop(self, number: int) -> None:
        """End a trial that has reached a rung; no more messages of it come."""

    @abstractmethod
    def close(self) -> None:
        """End all work, at once; nothing is written after this.

        A backend may be closed twice, and takes jobs again after that: a search that has ended may have repeats to do.
        """


class WorkerSetup(Protocol):
    """What a worker in a process of its own needs to begin; it is sent there by pickle."""

    def open(self) -> Work:
        """Open what all jobs share; returns the function that works on a job."""


def guarded(work: Work, job: Job) -> Iterator[Message]:
    """The messages of a job; an exception becomes a last message Failed, so that the worker lives on."""
    try:
        yield from work(job)
    except DiskFull as error:
        yield Failed(job.number, str(error), ends_search=True)
    except Exception as error:  # a bug of ours ends this trial, not the search
        yield Failed(job.number, f"{type(error).__name__}: {error}")
