"""What a search asks of where its trials run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

from autocompress.errors import DiskFull
from autocompress.search.trial.messages import Failed, Job, Message, Work


class Backend(ABC):
    """Works on jobs and says how it goes. It decides nothing, and never calls the one who uses it.

    Each job that is started ends with a message Finished or Failed, or with `stop`.
    """

    @abstractmethod
    def free_slots(self) -> int:
        """How many more jobs can be started now."""

    @abstractmethod
    def start(self, job: Job) -> None:
        """Begin to work on a job; there must be a free slot."""

    @abstractmethod
    def poll(self, timeout: float) -> list[Message]:
        """What has happened since the last time; waits for so many seconds at most where nothing has.

        Raises what no trial is to blame for, such as DiskFull or workers that cannot begin: it ends the search.
        """

    @abstractmethod
    def resume(self, number: int) -> None:
        """Let a trial go on that has reached a rung."""

    @abstractmethod
    def stop(self, number: int) -> None:
        """End a trial that has reached a rung; nothing more is told of it."""

    @abstractmethod
    def close(self) -> None:
        """End all work, at once; nothing is written after this. A backend may be closed twice."""


class WorkerSetup(Protocol):
    """How a worker in a process of its own becomes able to work; it is sent there by pickle."""

    def open(self) -> Work:
        """What works on jobs."""


def guarded(work: Work, job: Job) -> Iterator[Message]:
    """The messages of a worker's job, the last one Failed where anything is raised: it is not the worker's end."""
    try:
        yield from work(job)
    except DiskFull as error:
        yield Failed(job.number, str(error), ends_search=True)
    except Exception as error:  # a fault of ours: this trial's end, not the search's
        yield Failed(job.number, f"{type(error).__name__}: {error}")
