"""A worker on Ray: an actor that works on one job after the other, and answers each call with its next message.

A trial is a generator here, between its messages it does not run: so a worker waits at a rung until it is called again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import ray

from autocompress.errors import DiskFull
from autocompress.search.backends.base import WorkerSetup
from autocompress.search.trial.messages import Failed, Finished, Job, RungReached, Shown, Work

PROGRESS = "progress"  # the concurrency group of what is answered while a trial trains


@dataclass(frozen=True)
class Answer:
    """A worker's next message, and the `files` to be written before it is handed on, by path in the run folder."""

    message: RungReached | Finished | Failed
    files: dict[Path, bytes] = field(default_factory=dict)


class Worker:
    """A worker. If it sees the file `marker`, it writes into the run folder itself; else it sends what it writes."""

    def __init__(self, setup: WorkerSetup, marker: Path) -> None:
        self._setup = setup
        self._marker = marker
        self._work: Work
        self._trial: Iterator[Answer]
        self._shown: Shown | None = None

    def open(self) -> str | None:
        """Get ready; returns why it cannot, or None."""
        try:
            self._work = self._setup.open()
        except Exception as error:
            return f"on node {ray.util.get_node_ip_address()}: {type(error).__name__}: {error}"
        return None

    def start(self, job: Job, state: bytes | None) -> Answer:
        """Begin a job, and work to its first message. `state` is the training state of an earlier attempt, or None."""
        self._shown = None
        self._trial = self._here(job) if self._marker.is_file() else self._elsewhere(job, state)
        return next(self._trial)

    def resume(self) -> Answer:
        """Go on from a rung, to the next message."""
        return next(self._trial)

    @ray.method(concurrency_group=PROGRESS)  # type: ignore[untyped-decorator]
    def progress(self) -> Shown | None:
        """The last message of the trial that is only to be shown."""
        return self._shown

    def _here(self, job: Job) -> Iterator[Answer]:
        return (Answer(message) for message in self._messages(job))

    def _elsewhere(self, job: Job, state: bytes | None) -> Iterator[Answer]:
        """The job with paths in a folder of this node."""
        with tempfile.TemporaryDirectory(prefix="autocompress-") as folder:
            own = Path(folder)
            here = replace(job, folder=own / "trials" / job.folder.name, state_file=own / job.state_file.name)
            if state is not None:
                here.state_file.write_bytes(state)
            changes = _Changes({here.folder: job.folder, here.state_file: job.state_file})
            changes.collect()  # the search has the state
            for message in self._messages(here):
                yield Answer(message, {} if isinstance(message, Failed) else changes.collect())

    def _messages(self, job: Job) -> Iterator[RungReached | Finished | Failed]:
        """All but those to be shown, which `progress` tells."""
        node = f"on node {ray.util.get_node_ip_address()}"
        try:
            for message in self._work(job):
                if isinstance(message, Shown):
                    self._shown = message
                else:
                    yield message
        except DiskFull as error:
            yield Failed(job.number, f"{node}: {error}", ends_search=True)
        except OSError as error:  # another node may have better luck
            yield Failed(job.number, f"{node}: {error}", again=True)
        except Exception as error:  # a bug of ours ends this trial, not the search
            yield Failed(job.number, f"{type(error).__name__}: {error}")


class _Changes:
    """New and changed files of some files and folders, each given with the path where the search has it."""

    def __init__(self, places: dict[Path, Path]) -> None:
        self._places = places
        self._seen: dict[Path, int] = {}  # when it was changed

    def collect(self) -> dict[Path, bytes]:
        """The files that are new or changed since the last call."""
        contents = {}
        for here, there in self._places.items():
            for file in here.rglob("*") if here.is_dir() else [here]:
                if file.is_file() and self._seen.get(file) != (changed := file.stat().st_mtime_ns):
                    self._seen[file] = changed
                    contents[there / file.relative_to(here)] = file.read_bytes()
        return contents
