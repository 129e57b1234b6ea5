"""A worker on Ray: the actor that Tune starts, keeps while there are trials for it, and replaces when it dies."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.tune import Trainable

from autocompress.errors import DiskFull
from autocompress.search.backends.processes import Setup
from autocompress.search.backends.ray.mailbox import CannotBegin, Parcel, Told
from autocompress.search.trial.work import Failed, Finished, Job, Report, RungReached, Step

STEP_EVERY = 0.5  # seconds between steps that a worker tells of: each is a message


class Worker(Trainable):
    """One `step` of it, in Tune's words, is all trials that there are for it, one after the other.

    Tune may reuse it (`reset_config`) when there are more, so what all trials share is opened once.
    """

    def setup(self, config: dict[str, Any], setup: Setup | None = None, mailbox: Any = None) -> None:
        """Open what the trials share; `setup` and `mailbox` come by `tune.with_parameters`."""
        self._mailbox = mailbox
        try:
            assert setup is not None
            self._work = setup.open()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            ray.get(mailbox.tell.remote(CannotBegin(f"on node {ray.util.get_node_ip_address()}: {reason}")))
            raise

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """There is nothing of the last trials to get rid of."""
        return True

    def step(self) -> dict[str, Any]:
        """Work on the jobs that come for the worker that the config names, until there are none."""
        name = self.config["worker"]
        actor = ray.get_runtime_context().current_actor
        while (parcel := ray.get(self._mailbox.collect.remote(name, actor))) is not None:
            failed = self._do(parcel)
            if failed is not None:
                ray.get(self._mailbox.tell.remote(Told(name, failed)))
        return {"done": True}

    def _do(self, parcel: Parcel) -> Failed | None:
        """To its end, or to where it is stopped; what is in the way of both."""
        number = parcel.job.number
        try:
            with _at_hand(parcel) as (job, post):
                self._work(job, _Line(self.config["worker"], self._mailbox, post).tell)
        except ray.exceptions.RayError:  # the search is gone
            raise
        except DiskFull as error:
            return Failed(number, f"on node {ray.util.get_node_ip_address()}: {error}", ends_search=True)
        except OSError as error:  # another node may have better luck
            return Failed(number, f"on node {ray.util.get_node_ip_address()}: {error}", again=True)
        except Exception as error:  # a fault of ours: this trial's end, not the search's
            return Failed(number, f"{type(error).__name__}: {error}")
        return None


class _Line:
    """How a worker speaks of a trial to the search."""

    def __init__(self, worker: str, mailbox: Any, post: _Post) -> None:
        self._worker = worker
        self._mailbox = mailbox
        self._post = post
        self._told = 0.0

    def tell(self, report: Report) -> bool:
        """See `Tell`."""
        if isinstance(report, Step):
            if time.monotonic() - self._told >= STEP_EVERY:
                self._told = time.monotonic()
                self._mailbox.tell.remote(Told(self._worker, report))  # nobody need wait for it
            return True
        files = self._post.collect() if isinstance(report, RungReached | Finished) else {}
        return bool(ray.get(self._mailbox.tell.remote(Told(self._worker, report, files))))


class _Post:
    """Files that must be sent, as the search does not see them: new or changed ones, by where they belong."""

    def __init__(self, places: dict[Path, Path]) -> None:
        """`places`: the files and folders here, each with its path there."""
        self._places = places
        self._sent: dict[Path, int] = {}

    def collect(self) -> dict[Path, bytes]:
        """What is new since the last time."""
        found = {}
        for here, there in self._places.items():
            for file in here.rglob("*") if here.is_dir() else [here]:
                if file.is_file() and self._sent.get(file) != (changed := file.stat().st_mtime_ns):
                    self._sent[file] = changed
                    found[there / file.relative_to(here)] = file.read_bytes()
        return found


@contextmanager
def _at_hand(parcel: Parcel) -> Iterator[tuple[Job, _Post]]:
    """The job with paths that can be written here, and what must be sent of them."""
    job = parcel.job
    if parcel.marker.is_file():
        yield job, _Post({})
        return
    with tempfile.TemporaryDirectory(prefix="autocompress-") as folder:
        own = Path(folder)
        here = replace(job, folder=own / "trials" / job.folder.name, state_file=own / job.state_file.name)
        if parcel.state is not None:
            here.state_file.write_bytes(parcel.state)
        post = _Post({here.folder: job.folder, here.state_file: job.state_file})
        post.collect()  # the state is there already
        yield here, post
