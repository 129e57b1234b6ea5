"""Running a search: `search(settings, progress)` runs one, or goes on with one, in a run folder; `join` helps one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from autocompress.errors import InvalidInput, RunError
from autocompress.evaluation.latency import Machine
from autocompress.search.backends.processes import ProcessBackend, TaskSetup
from autocompress.search.callbacks import SearchCallback
from autocompress.search.description import describe, facts, identity, recorded_precision
from autocompress.search.results.front import objective
from autocompress.search.run.crops import copy_crops, crops_of
from autocompress.search.run.folder import RAY, RunFolder
from autocompress.search.run.recovery import note_of_lost, set_damaged_aside
from autocompress.search.run.sessions import Session
from autocompress.search.run.storage import StudyStorage, find_storage
from autocompress.search.sampling.initial import STARTS, first_points
from autocompress.search.settings import Settings
from autocompress.search.space.budget import Objective
from autocompress.search.space.cost import COUNTED, Costs
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.task import Task, open_task
from autocompress.search.timer import PhaseTimer
from autocompress.search.trial.context import TrialContext
from autocompress.search.trial.work import Backend, SerialBackend
from autocompress.search.tuner import Outcome, Tuner


def search(settings: Settings, progress: SearchCallback) -> tuple[RunFolder, Outcome]:
    """Run a search to its end, or go on with the one in the same folder.

    Everything is checked before anything is written; raises InvalidInput for what cannot be used, StorageError and
    DiskFull for what failed in the middle, after which the search can go on. On a keyboard interrupt the trials in
    flight are queued again, and the outcome says so.
    """
    run = RunFolder(settings.folder)
    ledger = PhaseTimer()
    deadline = _deadline(settings.timeout)
    with _on_ray(settings, progress, ledger):
        task = _open(settings, progress, ledger)
        counted = replace(settings.budget, latency=None)
        first_points(task.joint_space, counted, 1)  # raises where nothing fits
        with run.opened():
            shutil.rmtree(run.path / RAY, ignore_errors=True)  # of a search that was killed
            return run, _work(task, run, progress, ledger, deadline)


def join(
    path: Path,
    progress: SearchCallback,
    workers: int = 1,
    timeout: float | None = None,
    storage: str | None = None,
) -> tuple[RunFolder, Outcome]:
    """Work on the search in a run folder as one more session, beside any others there.

    What to search is as the run has it; raises as `search` does. `storage` is needed where its URL has a password.
    """
    run = RunFolder.existing(path)
    if objective(run) == "latency":
        raise InvalidInput(
            f"{path}: its latencies are measured while nothing else runs, so it has one session at a time; "
            "give its own command instead of --join"
        )
    ledger = PhaseTimer()
    deadline = _deadline(timeout)
    wanted = replace(recorded_settings(run), workers=workers, timeout=timeout, storage=storage)
    return run, _work(_open(wanted, progress, ledger), run, progress, ledger, deadline, joins=True)


def recorded_settings(run: RunFolder) -> Settings:
    """What a session that joins is to search: as the latest session that was started with `search` was asked.

    RunError where that is not recorded.
    """
    config = run.config
    if not {"settings", "started_in"} <= config.keys():
        raise RunError(f"{run.path}: an older version made it; let its own command go on once, then join")
    asked = Settings.from_dict(config["settings"]).for_joining(Path(config["started_in"]))
    return replace(asked, out=run.path)


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _open(settings: Settings, progress: SearchCallback, ledger: PhaseTimer) -> Task:
    progress.stage("opening teacher and images")
    with ledger.during("opening teacher and images"):
        return open_task(settings)


def _work(
    task: Task,
    run: RunFolder,
    progress: SearchCallback,
    ledger: PhaseTimer,
    deadline: float | None,
    joins: bool = False,
) -> Outcome:
    """One session, from the preparation to its end."""
    settings = task.settings
    wanted = identity(task)
    run.check(wanted, settings.extend)
    place = find_storage(settings.storage, run)
    session = Session(run.path, place)
    with place.kept():
        with ledger.during("opening the study"):
            notes = _looked_at(run, place, joins)
        inputs = TrialContext(task, progress.stage, recorded_precision(run), ledger, crops_of(run))
        costs = _costs(task, run, progress, ledger)
        if not joins:
            run.settle(describe(inputs, wanted, place, costs))
            copy_crops(inputs.crops, run, {branch.teacher_name: branch.teacher_digest for branch in task.joint_space})
        progress.prepared([*facts(inputs), *costs.settled(), *notes])
        first = first_points(task.joint_space, settings.budget, min(STARTS, settings.trials), inputs.suggested, costs)
        with session.entered():
            with ledger.during("opening the study"):
                driver = Tuner(FeasibleSet(task, costs), run, progress, first, ledger, session)
            try:
                return driver.run(_engine(settings, inputs), deadline)
            finally:
                driver.keep_times()


def _costs(task: Task, run: RunFolder, progress: SearchCallback, ledger: PhaseTimer) -> Costs:
    """What students cost; where that is latency, measured of enough networks to guess it of others."""
    if task.settings.objective is Objective.FLOPS:
        return COUNTED
    from autocompress.search.space.latencies import Latencies  # scikit-learn takes a second to import

    with ledger.during("measuring latencies"):
        found = Latencies(task.joint_space, task.settings.budget, Machine.here(), run.path)
        found.calibrate(progress.stage)
    return found


def _looked_at(run: RunFolder, place: StudyStorage, joins: bool) -> list[str]:
    """What a user should know of the study, before anything is written: raises where it cannot be reached."""
    note = None
    if place.url is not None:
        note = note_of_lost(run, place)
    elif not joins:
        note = set_damaged_aside(run)
    return [] if note is None else [note]


def _engine(settings: Settings, inputs: TrialContext) -> Backend:
    """This process for one worker, unless its trials may take too long: a process can be killed."""
    if settings.ray is not None:
        from autocompress.search.backends.ray.engine import RayBackend
        from autocompress.search.backends.ray.setup import SentTask

        return RayBackend(SentTask.of(inputs, settings.ray), settings.ray, settings.folder, settings.trial_timeout)
    if settings.processes == 1 and settings.trial_timeout is None:
        return SerialBackend(inputs)
    share = replace(inputs.precision, threads=max(1, inputs.precision.threads // settings.processes))
    return ProcessBackend(TaskSetup(settings, share, inputs.crops), settings.processes, settings.trial_timeout)


@contextmanager
def _on_ray(settings: Settings, progress: SearchCallback, ledger: PhaseTimer) -> Iterator[None]:
    """What a search on Ray is within; nothing for any other. Ray is imported when it is asked for: few have it."""
    with ExitStack() as stack:
        if settings.ray is not None:
            progress.stage("connecting to Ray")
            with ledger.during("connecting to Ray"):
                try:
                    from autocompress.search.backends.ray import cluster
                except ImportError as error:
                    raise InvalidInput(
                        f"--backend ray: Ray is not installed ({error}); pip install 'autocompress[ray]' does it"
                    ) from error
                stack.enter_context(cluster.connected(settings.ray))
        yield
