"""Search over students: `search(settings, progress)` runs one, or goes on with one, in a run folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from autocompress.errors import InvalidInput
from autocompress.search.description import describe, facts, identity, recorded_arithmetic
from autocompress.search.driver import Driver, Outcome
from autocompress.search.inputs import Inputs, Task, open_task
from autocompress.search.ledger import Ledger
from autocompress.search.progress import Progress
from autocompress.search.run_folder import RunFolder
from autocompress.search.settings import OnRay, Settings
from autocompress.search.starts import STARTS, first_points
from autocompress.search.work import Engine, Here
from autocompress.search.workers import TaskSetup, Workers

__all__ = ["OnRay", "Outcome", "Progress", "RunFolder", "Settings", "search"]


def search(settings: Settings, progress: Progress) -> tuple[RunFolder, Outcome]:
    """Run a search to its end, or go on with the one in the same folder.

    Everything is checked before anything is written; raises InvalidInput for what cannot be used. On a keyboard
    interrupt the trials in flight are queued again, and the outcome says so.
    """
    deadline = None if settings.timeout is None else time.monotonic() + settings.timeout
    ledger = Ledger()
    with _on_ray(settings, progress, ledger):
        return _search(settings, progress, ledger, deadline)


def _search(
    settings: Settings, progress: Progress, ledger: Ledger, deadline: float | None
) -> tuple[RunFolder, Outcome]:
    progress.stage("opening teacher and images")
    with ledger.during("opening teacher and images"):
        task = open_task(settings)
    count = min(STARTS, settings.trials)
    first = first_points(task.branches, settings.budget, count)
    run = RunFolder(settings.folder)
    with run.opened():
        inputs = _prepare(task, run, progress, ledger)
        if inputs.suggested:
            first = first_points(task.branches, settings.budget, count, inputs.suggested)
        with ledger.during("opening the study"):
            driver = Driver(task, run, progress, first, ledger)
        try:
            outcome = driver.run(_engine(settings, inputs), deadline)
        finally:
            run.add_times(ledger.to_dict())
    return run, outcome


def _engine(settings: Settings, inputs: Inputs) -> Engine:
    """This process for one worker, unless its trials may take too long: a process can be killed."""
    if settings.ray is not None:
        from autocompress.search.ray_engine import RayEngine
        from autocompress.search.ray_setup import SentTask

        return RayEngine(SentTask.of(inputs, settings.ray), settings.ray, settings.folder, settings.trial_timeout)
    if settings.workers == 1 and settings.trial_timeout is None:
        return Here(inputs)
    share = replace(inputs.arithmetic, threads=max(1, inputs.arithmetic.threads // settings.workers))
    return Workers(TaskSetup(settings, share), settings.workers, settings.trial_timeout)


@contextmanager
def _on_ray(settings: Settings, progress: Progress, ledger: Ledger) -> Iterator[None]:
    """What a search on Ray is within; nothing for any other. Ray is imported when it is asked for: few have it."""
    with ExitStack() as stack:
        if settings.ray is not None:
            progress.stage("connecting to Ray")
            with ledger.during("connecting to Ray"):
                try:
                    from autocompress.search import ray_cluster
                except ImportError as error:
                    raise InvalidInput(
                        f"--backend ray: Ray is not installed ({error}); pip install 'autocompress[ray]' does it"
                    ) from error
                stack.enter_context(ray_cluster.connected(settings.ray))
        yield


def _prepare(task: Task, run: RunFolder, progress: Progress, ledger: Ledger) -> Inputs:
    search = identity(task)
    run.check(search)
    inputs = Inputs(task, progress.stage, recorded_arithmetic(run), ledger)
    run.settle(describe(inputs, search))
    progress.prepared(facts(inputs))
    return inputs
