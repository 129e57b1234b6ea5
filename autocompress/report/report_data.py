"""All that a report shows of a run, read from its files and study once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from autocompress.errors import AutocompressError
from autocompress.report.figures import AXES, Axis
from autocompress.search.pareto import Point
from autocompress.search.results.changed_pictures import note_of_pictures
from autocompress.search.results.front import rows, students
from autocompress.search.results.intervals import Intervals
from autocompress.search.results.left_out import (
    gone_students,
    no_front,
    note_of_latencies,
    note_of_students,
    note_of_times,
    sessions_without_times,
)
from autocompress.search.results.rows import LATENCIES, note_of_pick, note_of_training, objective, pick
from autocompress.search.results.status import NAMES, trials_of
from autocompress.search.run.config import References, RunConfig, TeacherReference
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.history import points_at_rungs
from autocompress.search.run.integrity import check_study
from autocompress.search.run.record import TrialRecord
from autocompress.search.run.sessions import is_held, locks
from autocompress.search.run.student import StoredStudent
from autocompress.search.run.study import ended
from autocompress.search.run.study_file import Outline


@dataclass(frozen=True)
class ReportData:
    """A run's settings, its finished `students` by cost (see `results.students`), and the trials of its study.

    Where the study cannot be read, there are no `trials`, and `without_study` says why.
    """

    run: RunFolder
    config: RunConfig
    students: pd.DataFrame
    trials: Sequence[FrozenTrial]
    without_study: str | None

    @classmethod
    def of(cls, run: RunFolder, storage: str | None = None) -> ReportData:
        """Read a run; RunError if no trial has finished."""
        table = students(run)
        if table.empty:
            raise no_front(run, gone_students(run))
        recipes = {student.trial: student.provenance.recipe for student in run.students()}
        table["recipe"] = table["trial"].map(recipes)
        try:
            trials, reason = trials_of(run, storage), None
        except AutocompressError as error:
            trials, reason = [], str(error)
        if not trials and reason is None:
            reason = f"{run.path}: its study is not there"
        check_study(run, run.students(), [Outline.of(trial) for trial in trials if trial.state == TrialState.COMPLETE])
        return cls(run, run.config, table, trials, reason)

    @cached_property
    def stored(self) -> dict[int, StoredStudent]:
        """The students with all that is written of them, by trial."""
        return {student.trial: student for student in self.run.students()}

    @cached_property
    def left_out(self) -> dict[str, str]:
        """In words, what it leaves out, as it is gone or was changed: `students`, `pictures`, `latencies`, `times`."""
        trials = [Outline.of(trial) for trial in self.trials]
        missing = sessions_without_times(self.run, trials)
        notes = {
            "students": note_of_students(self.run, gone_students(self.run, trials)),
            "pictures": note_of_pictures(self.run),
            "latencies": note_of_latencies(self.run),
            "times": note_of_times(missing),
        }
        return {what: note for what, note in notes.items() if note is not None}

    @cached_property
    def axis(self) -> Axis:
        """The cost axis that PSNR-Y is drawn over."""
        return AXES[objective(self.run)]

    @property
    def by_teacher(self) -> bool:
        """Whether PSNR to the teacher's images chooses."""
        return self.config.search.by_teacher

    @property
    def latencies(self) -> dict[str, str]:
        """Headings and columns of the latencies that somebody has measured."""
        return {heading: column for heading, column in LATENCIES.items() if self.students[column].notna().any()}

    @property
    def measured_on(self) -> list[str]:
        """The machines that latencies were measured on."""
        return sorted(self.students["latency_on"].dropna().unique())

    @property
    def references(self) -> References:
        """Bicubic and the (best) teacher on the validation images."""
        return self.config.references

    @property
    def teachers(self) -> dict[str, TeacherReference]:
        """All teachers by name, with their costs and scores."""
        return self.config.teachers

    @cached_property
    def front(self) -> pd.DataFrame:
        """The students that no other within the budget dominates."""
        return self.students[self.students["on_front"]]

    @cached_property
    def pick(self) -> dict[str, Any] | None:
        """The student to take; None where all are over the budget, which another session may have lowered."""
        return None if self.front.empty else pick(rows(self.front))

    @property
    def note_of_pick(self) -> str | None:
        """Which cheaper students of the front cannot be told apart from the pick; None where all can."""
        return None if self.front.empty else note_of_pick(rows(self.front))

    @property
    def note_of_training(self) -> str | None:
        """That the pick was better before its training; None where it was not."""
        return None if self.pick is None else note_of_training(self.stored[self.pick["trial"]])

    @property
    def note_of_intervals(self) -> str:
        """What is in the intervals, or why there are none."""
        return Intervals.of(self.run, self.run.students()).note

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The students as dicts."""
        return rows(self.students)

    @property
    def sessions(self) -> int:
        """How many processes work on the run now."""
        return sum(is_held(path) for path in locks(self.run.path))

    @property
    def over(self) -> list[FrozenTrial]:
        """The trials that have ended for good, in the order in which they ended."""
        return sorted(ended(self.trials), key=lambda trial: (_end(trial), trial.number))

    @property
    def early(self) -> list[tuple[int, str, str]]:
        """Of each trial that ended early: its number, `stopped` or `failed`, and the reason."""
        return [
            (trial.number, NAMES[trial.state.name], TrialRecord.of(trial).reason)
            for trial in sorted(ended(self.trials), key=lambda trial: trial.number)
            if trial.state.name in NAMES
        ]

    @property
    def stopped(self) -> list[FrozenTrial]:
        """The trials that were stopped at a rung."""
        return [trial for trial in self.trials if trial.state == TrialState.PRUNED]

    @property
    def last_scores(self) -> list[tuple[int, Point]]:
        """Of stopped trials: the step of the last score, and the score."""
        known = (points_at_rungs(trial) for trial in self.stopped)
        return [max(scores, key=lambda score: score[0]) for scores in known if scores]


def _end(trial: FrozenTrial) -> float:
    """When a trial ended, in seconds since 1970."""
    return 0.0 if trial.datetime_complete is None else trial.datetime_complete.timestamp()
