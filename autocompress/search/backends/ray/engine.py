"""The engine of a Ray cluster: Ray Tune places trials on it, and the driver decides, as with every other engine.

Tune's part is small on purpose: it places workers, each with the resources of a trial, and says when one is lost. What
Tune calls a trial is a worker here. A searcher of ours gives it one while the driver has a job for it; a worker that
has done its job gets the next one directly: by way of Tune's loop, which sees to one event after the other, that would
take most of a second (benchmarks/scale.py). What becomes of the jobs the workers tell the driver itself, by a mailbox:
Tune has no place for a trial that asks whether to go on, nor for all the states in which one may end. Tune never
retries (`max_failures=0`): a trial whose worker died is told as failed, and the driver queues its config again, as it
does for every engine: from its last rung's state, at most three attempts, all of them in the study. Nor is Tune's own
restore used: a search that was killed goes on from its study, by the same command.
"""

from __future__ import annotations

import shutil
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from autocompress.search.backends.processes import Setup
from autocompress.search.backends.ray.cluster import Slots
from autocompress.search.backends.ray.desk import Desk
from autocompress.search.backends.ray.mailbox import Broker
from autocompress.search.backends.ray.trainable import Worker
from autocompress.search.run.folder import RAY
from autocompress.search.settings import OnRay
from autocompress.search.trial.work import Source

MARKER = "marker"


class RayBackend:
    """Trials on the Ray that this process is connected to; `folder` is the run's, `trial_timeout` in seconds."""

    def __init__(self, setup: Setup, wanted: OnRay, folder: Path, trial_timeout: float | None = None) -> None:
        self._setup = setup
        self._wanted = wanted
        self._folder = folder.absolute()
        self._trial_timeout = trial_timeout

    def run(self, source: Source) -> None:
        """See `Engine.run`."""
        with _own_folder(self._folder) as own:
            desk = Desk(source, _mailbox(), own / MARKER, self._trial_timeout)
            try:
                with _interrupting(desk):
                    self._tune(desk, own)
            except Exception:
                if desk.raised is None:
                    raise
                raise desk.raised from None
            finally:
                desk.close()

    def _tune(self, desk: Desk, own: Path) -> None:
        tune.run(
            tune.with_parameters(Worker, setup=self._setup, mailbox=desk.mailbox),
            name="tune",
            storage_path=str(own),
            resources_per_trial={"cpu": self._wanted.cpus, "gpu": self._wanted.gpus or 0},
            num_samples=-1,
            search_alg=_Workers(desk, Slots(self._wanted)),
            callbacks=[_Clock(desk)],
            stop=_Stopper(desk),
            trial_dirname_creator=lambda trial: trial.trial_id,
            reuse_actors=True,
            raise_on_failed_trial=False,
            max_failures=0,
            verbose=0,
        )


@contextmanager
def _own_folder(run: Path) -> Iterator[Path]:
    """A folder for Tune's files and the marker by which workers know the run folder, gone at the end."""
    own = run / RAY / uuid.uuid4().hex  # no other folder has it, even under the same path on another node
    own.mkdir(parents=True)
    (own / "marker").touch()
    try:
        yield own
    finally:
        shutil.rmtree(run / RAY, ignore_errors=True)


def _mailbox() -> Any:
    """On this node: it ends with the search and with nothing else."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Broker).options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here).remote()


@contextmanager
def _interrupting(desk: Desk) -> Iterator[None]:
    """The first Ctrl-C comes where the desk next looks, so that Tune can give back what it holds of the cluster."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(*_: object) -> None:
        desk.interrupted = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Workers(Searcher):
    """What Tune asks for workers, which it calls trials."""

    def __init__(self, desk: Desk, slots: Slots) -> None:
        super().__init__()
        self._desk = desk
        self._slots = slots
        self._there = set[str]()  # which Tune has not ended yet

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """One more worker's name; None while there is no job for it, or no room."""
        if len(self._there) >= self._slots.now:
            return None
        if not self._desk.employ(trial_id):
            return None if self._there else str(Searcher.FINISHED)
        self._there.add(trial_id)
        return {"worker": trial_id}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A worker was sent away, or is gone."""
        self._there.discard(trial_id)
        self._desk.lost(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """The study has all of it."""

    def restore(self, checkpoint_path: str) -> None:
        """See `save`."""


class _Stopper(Stopper):
    """Ends the workers for which Ray has found no place, when there is no job for them any more."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """None that works."""
        return False

    def stop_all(self) -> bool:
        """When the last job has ended."""
        return self._desk.done

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune writes it down with its own state, of which no use is made, and a desk cannot be written."""
        return {}


class _Clock(Callback):
    """Tune comes by here several times a second."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Before anything is started."""
        self._desk.look()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """After the searcher has heard of it, without the reason."""
        lines = str(trial.get_error()).split("\n")
        self._desk.hear_why(next((line.strip() for line in reversed(lines) if line.strip()), "unknown"))
