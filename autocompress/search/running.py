"""Running a search, or joining one, from its settings to its outcome: the steps in their order."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from autocompress.compute.precision import Precision
from autocompress.errors import InvalidInput, RunError, cut
from autocompress.evaluation import latency
from autocompress.io.outputs import check_folder
from autocompress.progress import tell_if_long
from autocompress.search.ask_tell import open_ask_tell
from autocompress.search.backends.base import Backend
from autocompress.search.backends.processes import ProcessBackend, TaskSetup
from autocompress.search.backends.serial import SerialBackend
from autocompress.search.callbacks import SearchCallback
from autocompress.search.description import describe, facts, identity, recorded_precision
from autocompress.search.refiner import SAVE_EVERY, Extent
from autocompress.search.refining import DEFAULT_TIME, RefiningSession, check_same
from autocompress.search.repeater import Repeater
from autocompress.search.results.rows import front_rows, has_front, objective
from autocompress.search.run.crops import copy_crops, crops_of
from autocompress.search.run.folder import CONFIG, RAY, RunFolder
from autocompress.search.run.foreign_study import set_foreign_aside
from autocompress.search.run.integrity import check_run, check_students, sound_students
from autocompress.search.run.recovery import note_of_lost, set_damaged_aside
from autocompress.search.run.sessions import Session
from autocompress.search.run.soundness import check_sound
from autocompress.search.run.storage import StudyStorage, find_storage
from autocompress.search.sampling.initial import MAX_INITIAL, first_points
from autocompress.search.settings import Settings
from autocompress.search.space.budget import Objective
from autocompress.search.space.cost import COUNTED, Costs
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.space.joint_space import JointSpace
from autocompress.search.stopping import MOASHARule, StoppingRule
from autocompress.search.task import Task, check_teachers, open_task
from autocompress.search.timer import PhaseTimer
from autocompress.search.trial.context import TrialContext
from autocompress.search.trial.piece import work_on
from autocompress.search.trial.preparation import prepare
from autocompress.search.trial.trial import rung_steps
from autocompress.search.tuner import Outcome, Tuner
from autocompress.shrink.init import Init

ETA = 2  # 1 in so many goes on at a rung...
FIRST = 8  # ...and the first so many do in any case

Clock = Callable[[], float]


def search(
    settings: Settings,
    callback: SearchCallback,
    *,
    backend: Backend | None = None,
    precision: Precision | None = None,
    stopping: StoppingRule | None = None,
    clock: Clock = time.monotonic,
) -> tuple[RunFolder, Outcome]:
    """Run a search to its end, or go on with the one in the same folder.

    Everything is checked before anything is written; raises InvalidInput for what cannot be used, StorageError and
    DiskFull for what failed in the middle, after which the search can go on. On a keyboard interrupt the trials in
    flight are queued again, and the outcome says so.

    `backend` is where trials run, whatever the settings say; it is closed at the end. `precision` is how networks are
    computed, in place of what the run has recorded or short probes find; `stopping` the rule at rungs, in place of
    MO-ASHA; `clock` gives the seconds by which the search's timeout is counted.
    """
    run = RunFolder(settings.folder)
    own = _Own(backend, precision, stopping, clock)
    session = _Progress(callback, PhaseTimer(), _deadline(settings.timeout, clock))
    with _connected(settings, session):
        task = _open(settings, session)
        check_folder(run.path, "--out")
        check_teachers(task)
        counted = FeasibleSet(task.joint_space, settings.budget.without_latency())
        for student_space in task.joint_space:
            what = f"counting the FLOPs of the networks of {student_space.name}"
            student_space.count_networks(tell_if_long(callback.on_stage, what))
            counted.check(student_space)
        with run.opened():
            shutil.rmtree(run.path / RAY, ignore_errors=True)  # of a search that was killed
            return run, _run_session(task, run, session, own)


def join(
    path: Path,
    callback: SearchCallback,
    workers: int = 1,
    timeout: float | None = None,
    storage: str | None = None,
    *,
    backend: Backend | None = None,
    precision: Precision | None = None,
) -> tuple[RunFolder, Outcome]:
    """Work on the search in a run folder as one more session, beside any others there.

    What to search is as the run has it; the rest is as for `search`, which see. `storage` is needed where its URL has a
    password.
    """
    run = RunFolder.existing(path)
    if objective(run) == "latency":
        raise InvalidInput(
            f"{path}: its latencies are measured while nothing else runs, so it has one session at a time; "
            "give its own command instead of --join"
        )
    own = _Own(backend, precision)
    session = _Progress(callback, PhaseTimer(), _deadline(timeout, own.clock))
    settings = replace(recorded_settings(run), workers=workers, timeout=timeout, storage=storage)
    return run, _run_session(_open(settings, session), run, session, own, joins=True)


def recorded_settings(run: RunFolder) -> Settings:
    """The settings for a session that joins: those of the latest session that was started with `search`.

    RunError if they are not recorded.
    """
    config = run.config
    if config.settings is None or config.started_in is None:
        raise RunError(f"{run.path}: an older version made it; let its own command go on once first")
    asked = Settings.of_config(run.path / CONFIG, config.settings).for_joining(Path(config.started_in))
    return replace(asked, out=run.path)


def refine(
    path: Path,
    callback: SearchCallback,
    steps: int | None = None,
    where: Mapping[str, Any] = MappingProxyType({}),
    *,
    backend: Backend | None = None,
    clock: Clock = time.monotonic,
    save_every: float = SAVE_EVERY,
) -> tuple[RunFolder, Outcome]:
    """Train the students of a run's front on from their weights: see `Refiner`.

    Each for up to `steps` more in all, and for the `timeout` in `where`, whose keys are fields of Settings; for
    DEFAULT_TIME where neither is given. `save_every` is as in `Extent`, the rest as for `search`. Raises RunError where
    there is no front, where teachers or images are not those of the run, and where another session works on it.
    """
    if steps is not None and steps < 1:
        raise InvalidInput(f"steps is {steps}, but must be >= 1")
    run = RunFolder.existing(path)
    front_rows(run)
    # no student is made, so that needs no preparation
    recorded = replace(recorded_settings(run), prune=False, init=Init.SCRATCH, trial_timeout=None)
    settings = replace(recorded, **where)
    if steps is None and settings.timeout is None:
        settings = replace(settings, timeout=DEFAULT_TIME)
    progress = _Progress(callback, PhaseTimer(), _deadline(settings.timeout, clock))
    check_run(run)
    storage = find_storage(settings.storage, run)
    session = Session(run.path, storage)
    with _connected(settings, progress), storage.errors_explained(), run.staying(), session.entered():
        task = _open(settings, progress)
        check_same(run, task)
        precision = recorded_precision(run)
        context = prepare(task, callback.on_stage, precision=precision, timer=progress.timer, crops=crops_of(run))
        callback.on_prepared(facts(context))
        refining = RefiningSession(task, run, session, callback, progress.timer)
        extent = Extent(steps, progress.deadline, clock, save_every)
        return run, refining.refine(backend or make_backend(settings, context), extent)


@dataclass(frozen=True)
class _Own:
    """What the caller passes in place of what the settings say."""

    backend: Backend | None
    precision: Precision | None
    stopping: StoppingRule | None = None
    clock: Clock = time.monotonic


@dataclass(frozen=True)
class _Progress:
    """A session's callback, its timer, and the deadline of its timeout."""

    callback: SearchCallback
    timer: PhaseTimer
    deadline: float | None

    @contextmanager
    def stage(self, what: str) -> Iterator[None]:
        self.callback.on_stage(what)
        with self.timer.during(what):
            yield


def _deadline(timeout: float | None, clock: Clock) -> float | None:
    return None if timeout is None else clock() + timeout


def _open(settings: Settings, session: _Progress) -> Task:
    with session.stage("opening teacher and images"):
        return open_task(settings)


def _run_session(task: Task, run: RunFolder, progress: _Progress, own: _Own, joins: bool = False) -> Outcome:
    """One session, from the preparation to the end."""
    settings, timer = task.settings, progress.timer
    wanted = identity(task)
    run.check(wanted, settings.extend, {"train": task.train, "valid": task.valid})
    storage = find_storage(settings.storage, run)
    session = Session(run.path, storage)
    with storage.errors_explained():
        with timer.during("opening the study"):
            notes = _notes_of_study(run, storage, task.joint_space, joins)
        precision = own.precision or recorded_precision(run)
        context = prepare(task, progress.callback.on_stage, precision=precision, timer=timer, crops=crops_of(run))
        costs = _find_costs(task, run, progress)
        if not joins:
            run.write_config(describe(context, wanted, storage, costs))
            teachers = {space.teacher_name: space.teacher_digest for space in task.joint_space}
            copy_crops(context.crops, run, teachers, task.valid.digest)
        costs.store()
        progress.callback.on_prepared([*facts(context), *costs.facts(), *notes])
        feasible = FeasibleSet(task.joint_space, settings.budget, costs)
        first = first_points(feasible, min(MAX_INITIAL, settings.trials), context.suggested)
        with run.staying(), session.entered():
            session.check_unrefined()
            with timer.during("opening the study"):
                rule = own.stopping or default_stopping(settings.steps)
                study = open_ask_tell(task, feasible, run, session, first, rule)
            if study.room() > 0:
                progress.callback.on_stage(_first_work(settings))
            tuner = Tuner(study, progress.callback, timer, progress.deadline, own.clock)
            try:
                outcome = tuner.run(own.backend or make_backend(settings, context))
                if settings.repeats > 1 and outcome.complete and has_front(run):
                    repeater = Repeater(run, task, settings.repeats, progress.callback, progress.deadline, own.clock)
                    outcome = outcome.then("repeats", repeater.run(own.backend or make_backend(settings, context)))
            finally:
                tuner.write_times()
            if settings.refine is not None and outcome.complete and has_front(run):
                refining = RefiningSession(task, run, session, progress.callback, timer)
                untimed, extent = replace(settings, trial_timeout=None), Extent(None, progress.deadline, own.clock)
                refined = refining.refine_rest(lambda: own.backend or make_backend(untimed, context), extent)
                outcome = outcome.then("refining", refined)
            return outcome


def _first_work(settings: Settings) -> str:
    """What goes on until the first trial tells how far it is, in words."""
    making = "making students and scoring them before training"
    workers = settings.processes if settings.ray is None else 0
    return making if workers < 2 else f"starting {workers} workers, then {making}"


def _notes_of_study(run: RunFolder, storage: StudyStorage, joint_space: JointSpace, joins: bool) -> list[str]:
    """Lines for the user about the study, before anything is written; raises if its storage cannot be reached."""
    note = None
    if storage.url is None and not joins:
        note = set_damaged_aside(run, storage, joint_space)
    else:
        check_sound(run, storage, joint_space)
    if storage.url is not None or (note is None and run.database.is_file()):
        note = note_of_lost(run, storage)
    if joins:
        sound_students(run)
    else:
        check_students(run)
        note = set_foreign_aside(run, storage) or note
    ignored = run.other_folders()
    other = f"trials      ignored, as no trial's folder: {cut(', '.join(map(repr, ignored)))}" if ignored else None
    return [line for line in (note, other) if line is not None]


def _find_costs(task: Task, run: RunFolder, progress: _Progress) -> Costs:
    """How costs are found: for latency, enough networks are measured here to guess those of others."""
    if task.settings.objective is Objective.FLOPS:
        return COUNTED
    from autocompress.search.sampling.surrogate import Surrogate  # scikit-learn takes a second to import
    from autocompress.search.space.latencies import Latencies

    with progress.timer.during("measuring latencies"):
        latencies = Latencies.open(
            task.joint_space, task.settings.budget, latency.this_machine(), run.path, regression=Surrogate.fit
        )
        latencies.calibrate(progress.callback.on_stage)
    return latencies


def default_stopping(steps: int) -> StoppingRule:
    """MO-ASHA, at a third of the training alone: scores before are right too rarely (benchmarks/samplers.py)."""
    return MOASHARule(ETA, FIRST, at=rung_steps(steps)[-2:-1])


def make_backend(settings: Settings, context: TrialContext) -> Backend:
    """The backend that settings ask for; one worker without a trial timeout works in this process."""
    if settings.ray is not None:
        from autocompress.search.backends.ray.backend import RayBackend
        from autocompress.search.backends.ray.setup import SentTask

        return RayBackend(SentTask.of(context, settings.ray), settings.ray, settings.folder, settings.trial_timeout)
    if settings.processes == 1 and settings.trial_timeout is None:
        return SerialBackend(partial(work_on, context=context))
    share = replace(context.precision, threads=max(1, context.precision.threads // settings.processes))
    setup = TaskSetup(settings, context.task.digests, share, context.crops)
    return ProcessBackend(setup, settings.processes, settings.trial_timeout)


@contextmanager
def _connected(settings: Settings, progress: _Progress) -> Iterator[None]:
    """A context that is connected to Ray, if the search runs there. Ray is imported only then: few have it."""
    with ExitStack() as stack:
        if settings.ray is not None:
            with progress.stage("connecting to Ray"):
                try:
                    from autocompress.search.backends.ray import cluster
                except ImportError as error:
                    raise InvalidInput(
                        f"--backend ray: Ray is not installed ({error}); pip install 'autocompress[ray]' does it"
                    ) from error
                stack.enter_context(cluster.connected(settings.ray))
        yield
