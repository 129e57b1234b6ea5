"""The engine of a Ray cluster: Ray Tune places trials on it, and the driver decides, as with every other engine.

Tune's part is small on purpose. A searcher of ours gives it the driver's jobs. What becomes of them the workers tell
the driver itself, by a mailbox: Tune has no place for a trial that asks whether to go on, nor for all the states in
which one may end. Tune never retries (`max_failures=0`): a trial whose worker died is told as failed, and the driver
queues its config again, as it does for every engine: from its last rung's state, at most three attempts, all of them in
the study. Nor is Tune's own restore used: a search that was killed goes on from its study, by the same command.
"""

from __future__ import annotations

import shutil
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from autocompress import checkpoints
from autocompress.errors import AutocompressError
from autocompress.quantities import format_duration
from autocompress.search.ray_cluster import Slots
from autocompress.search.ray_mailbox import Begun, CannotBegin, Letter, Mailbox, Parcel, Told
from autocompress.search.ray_trainable import Worker
from autocompress.search.settings import OnRay
from autocompress.search.work import AtRung, Failed, Job, Source
from autocompress.search.workers import Setup

BIRTHS = 3  # workers one after the other that may die before they begin; a node that goes takes one with it at most
MARKER = "marker"
GOODBYE = 5.0  # seconds to wait for workers to be dead


class RayEngine:
    """Trials on the Ray that this process is connected to; `folder` is the run's, `trial_timeout` in seconds."""

    def __init__(self, setup: Setup, wanted: OnRay, folder: Path, trial_timeout: float | None = None) -> None:
        self._setup = setup
        self._wanted = wanted
        self._folder = folder.absolute()
        self._trial_timeout = trial_timeout

    def run(self, source: Source) -> None:
        """See `Engine.run`."""
        with _own_folder(self._folder) as own:
            desk = _Desk(source, _mailbox(), own / MARKER, self._trial_timeout)
            try:
                with _interrupting(desk):
                    self._tune(desk, own)
            except Exception:
                if desk.raised is None:
                    raise
                raise desk.raised from None
            finally:
                desk.close()

    def _tune(self, desk: _Desk, own: Path) -> None:
        tune.run(
            tune.with_parameters(Worker, setup=self._setup, mailbox=desk.mailbox),
            name="tune",
            storage_path=str(own),
            resources_per_trial={"cpu": self._wanted.cpus, "gpu": self._wanted.gpus or 0},
            num_samples=-1,
            search_alg=_Jobs(desk, Slots(self._wanted)),
            callbacks=[_Clock(desk)],
            trial_dirname_creator=lambda trial: trial.trial_id,
            reuse_actors=True,
            raise_on_failed_trial=False,
            max_failures=0,
            verbose=0,
        )


@contextmanager
def _own_folder(run: Path) -> Iterator[Path]:
    """A folder for Tune's files and the marker by which workers know the run folder, gone at the end."""
    shutil.rmtree(run / ".ray", ignore_errors=True)  # of a search that was killed
    own = run / ".ray" / uuid.uuid4().hex  # no other folder has it, even under the same path on another node
    own.mkdir(parents=True)
    (own / "marker").touch()
    try:
        yield own
    finally:
        shutil.rmtree(run / ".ray", ignore_errors=True)


def _mailbox() -> Any:
    """On this node: it ends with the search and with nothing else."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Mailbox).options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here).remote()


@contextmanager
def _interrupting(desk: _Desk) -> Iterator[None]:
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


class _Left(Exception):
    """What ends a search was raised: out through Tune, which cleans up on the way."""


class _Desk:
    """Between Tune, the mailbox and the source. What the source raises is kept as `raised`, and _Left raised."""

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
            raise _Left from error

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
                for path, content in sorted(files.items(), reverse=True):  # student.json last: it says all is there
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


class _Jobs(Searcher):
    """What Tune asks for trials."""

    def __init__(self, desk: _Desk, slots: Slots) -> None:
        super().__init__()
        self._desk = desk
        self._slots = slots
        self._numbers: dict[str, int] = {}  # by Tune's name for a trial that it has not ended yet

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """A job's number; None while there is none or no room."""
        if len(self._numbers) >= self._slots.now:
            return None  # a job taken early would be judged by less than is known when it begins
        number = self._desk.next_number()
        if number is None:
            return None if self._numbers else str(Searcher.FINISHED)
        self._numbers[trial_id] = number
        return {"number": number}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Its worker has told what became of it, or is gone."""
        self._desk.lost(self._numbers.pop(trial_id))

    def save(self, checkpoint_path: str) -> None:
        """The study has all of it."""

    def restore(self, checkpoint_path: str) -> None:
        """See `save`."""


class _Clock(Callback):
    """Tune comes by here several times a second."""

    def __init__(self, desk: _Desk) -> None:
        self._desk = desk

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Before anything is started."""
        self._desk.look()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """After the searcher has heard of it, without the reason."""
        lines = str(trial.get_error()).split("\n")
        self._desk.hear_why(next((line.strip() for line in reversed(lines) if line.strip()), "unknown"))
