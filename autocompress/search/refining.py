"""Refining a run's front: the steps of a session, for `search --refine` after its trials, and for `refine` alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from autocompress.errors import AutocompressError, DiskFull, RunError
from autocompress.search.backends.base import Backend
from autocompress.search.callbacks import SearchCallback
from autocompress.search.refiner import Extent, Refiner
from autocompress.search.run.dashboard_writer import DashboardWriter
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.logs import SessionTimes
from autocompress.search.run.sessions import Session
from autocompress.search.task import Task
from autocompress.search.timer import PhaseTimer
from autocompress.search.tuner import LOOK_EVERY, Outcome
from autocompress.units import format_duration

DEFAULT_TIME = 600.0  # seconds, where neither steps nor a time are given


@dataclass(frozen=True)
class RefiningSession:
    """A session that refines, once it has been entered."""

    task: Task
    run: RunFolder
    session: Session
    callback: SearchCallback
    timer: PhaseTimer

    def refine(self, backend: Backend, extent: Extent) -> Outcome:
        """Refine the front; the backend is closed.

        Raises RunError where another session works on the run.
        """
        with self.session.refining():
            writer = _writer(self.run, self.session)
            refiner = Refiner(self.run, self.task.joint_space, self.callback, extent, writer, self._write_times)
            return refiner.run(backend)

    def refine_rest(self, make_backend: Callable[[], Backend], extent: Extent) -> Outcome:
        """After a search's trials: refine for what is left of the time that its settings give.

        Other sessions of the run, which have no more trials, are waited for.
        """
        wanted = self.task.settings.refine
        assert wanted is not None
        left = wanted - refined_seconds(self.run)
        if left <= 0:
            return Outcome(f"the front was refined for {format_duration(wanted)}")
        while not self._alone():
            time.sleep(LOOK_EVERY)
        until = extent.clock() + left
        deadline = until if extent.deadline is None else min(until, extent.deadline)
        return self.refine(make_backend(), replace(extent, deadline=deadline))

    def _alone(self) -> bool:
        with self.session.asking():
            self.session.remove_stale_locks()
        return self.session.alone()

    def _write_times(self, refining: float) -> None:
        with suppress(DiskFull), self.timer.during("storing"), self.session.asking():
            times = SessionTimes(session=self.session.id, **self.timer.to_dict(), refining=round(refining, 3))
            self.run.write_times(times)


def refined_seconds(run: RunFolder) -> float:
    """How long all sessions of a run have refined its front, as far as they have written it down."""
    return sum(session.refining for session in run.times)


def check_same(run: RunFolder, task: Task) -> None:
    """RunError, naming what differs, unless teachers, targets and images are those that the run's students had."""
    was = run.config.search
    now = {space.name: {"teacher": space.teacher_digest, "target": space.target_digest} for space in task.joint_space}
    differing = [
        f"the {what} of the space {name}"
        for name, digests in now.items()
        for what, digest in digests.items()
        if was.spaces.get(name, {}).get(what) != digest
    ]
    images = {"training": (was.train, task.train.digest), "validation": (was.valid, task.valid.digest)}
    changed = {"training": run.config.train.changes(task.train), "validation": run.config.valid.changes(task.valid)}
    differing += [
        f"the {what} images{f' ({changed[what]})' if changed[what] else ''}"
        for what, (before, after) in images.items()
        if before != after
    ]
    if differing:
        raise RunError(
            f"{run.path}: {' and '.join(differing)} are not those that its students were trained and scored with; "
            "bring these back to where they were, or search anew"
        )


def _writer(run: RunFolder, session: Session) -> DashboardWriter | None:
    """What writes the trials' notes; None where the study cannot be opened, as refining needs nothing else of it."""
    if session.place.url is None and not run.database.is_file():
        return None
    try:
        return DashboardWriter(session.place.open(run), session.place.study, run)
    except (AutocompressError, KeyError):
        return None
