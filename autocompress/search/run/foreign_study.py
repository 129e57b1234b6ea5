"""A study that is not that of a run's students, as where a database was restored from the wrong backup."""

from __future__ import annotations

import math

from optuna.trial import FrozenTrial, TrialState

from autocompress.errors import RunError, cut
from autocompress.names import printable
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.integrity import NEAR, check_study
from autocompress.search.run.recovery import aside
from autocompress.search.run.sessions import is_held, locks
from autocompress.search.run.storage import StudyStorage
from autocompress.search.run.student import StoredStudent
from autocompress.search.run.study_file import Outline
from autocompress.units import quantity


def set_foreign_aside(run: RunFolder, place: StudyStorage) -> str | None:
    """Rename a study.db that does not belong to the run's students; returns a line for the user.

    That is one that holds another run's study alone, or one with a finished trial whose student is gone or another.
    It is made again from the students that are there, and what is missing is trained anew. RunError where the study
    lies in a storage of its own, and as `check_study`. Nothing is looked at while other sessions work on the run.
    """
    if (place.url is None and not run.database.is_file()) or any(is_held(lock) for lock in locks(run.path)):
        return None
    students = {student.trial: student for student in run.students()}
    finished, others = _finished(run, place)
    check_study(run, [*students.values()], [Outline.of(trial) for trial in finished])
    if others and place.url is None:
        renamed = aside(run, "study.db.other")
        made = f"; made again from {quantity(len(students), 'student')}" if students else ""
        return f"study       study.db was of another run ({others[0]}) and is now called {renamed.name}{made}"
    gone = [trial.number for trial in finished if trial.number not in students]
    other = [
        trial.number for trial in finished if trial.number in students and not _is_of(trial, students[trial.number])
    ]
    if not (gone or other):
        return None
    listed = cut(", ".join(map(str, other or gone)))
    what = f"trials {listed} are of another run" if other else f"the students of trials {listed} are gone"
    if place.url is not None:
        raise RunError(
            f"{run.path}: by its study in {place.shown}, {what}; restore their folders, or give another with --out"
        )
    renamed = aside(run, "study.db.other" if other else "study.db.before")
    made = f"made again from {quantity(len(students), 'student')}"
    return f"study       {what}; study.db is now called {renamed.name}, and {made}"


def _finished(run: RunFolder, place: StudyStorage) -> tuple[list[FrozenTrial], list[str]]:
    """The finished trials of the run's study; where there is none, the names of the studies that are there."""
    storage = place.open(run)
    try:
        study = storage.get_study_id_from_name(place.study)
        return storage.get_all_trials(study, states=(TrialState.COMPLETE,)), []
    except KeyError:
        return [], [printable(study.study_name) for study in storage.get_all_studies()]
    finally:
        storage.remove_session()
        if (engine := getattr(storage, "engine", None)) is not None:
            engine.dispose()


def _is_of(trial: FrozenTrial, student: StoredStudent) -> bool:
    (psnr, cost), (own_psnr, own_cost) = trial.values, student.objectives
    return abs(psnr - own_psnr) <= NEAR and math.isclose(cost, own_cost, rel_tol=NEAR)
