"""A study that is lost or damaged, made again from the students that were written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from autocompress.errors import RunError
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.record import TrialRecord
from autocompress.search.run.storage import StudyStorage
from autocompress.search.space.cost import LATENCY_MS
from autocompress.search.space.joint_space import JointSpace

NEEDED = {"point", "scores"}  # of a student's provenance


def set_damaged_aside(run: RunFolder) -> str | None:
    """Move away a study.db that is none; returns a line for the user where there is none to go on with.

    To be called while no other session works on the run.
    """
    students = len(run.students())
    if not run.database.is_file():
        return f"study       study.db is gone; made again from {students} students" if students else None
    if _is_whole(run):
        return None
    aside = next(path for path in _names(run) if not path.exists())
    for suffix in ("-wal", "-shm", ""):
        file = run.database.with_name(run.database.name + suffix)
        if file.exists():
            file.rename(aside.with_name(aside.name + suffix))
    return f"study       study.db is damaged and now called {aside.name}; made again from {students} students"


def note_of_lost(run: RunFolder, place: StudyStorage) -> str | None:
    """A line for the user where a run has students and its storage has no study; raises as `Place.open` does."""
    kept = place.open(run)
    try:
        kept.get_study_id_from_name(place.study)
        return None
    except KeyError:
        students = len(run.students())
        return f"study       gone from {place.shown}; made again from {students} students" if students else None
    finally:
        kept.remove_session()


def _names(run: RunFolder) -> Any:
    yield run.database.with_name("study.db.damaged")
    yield from (run.database.with_name(f"study.db.damaged{number}") for number in range(2, 1000))


def _is_whole(run: RunFolder) -> bool:
    try:
        with closing(sqlite3.connect(run.database, timeout=60)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError:  # it cannot be read now, which says nothing of what is in it
        return True
    except sqlite3.DatabaseError:
        return False


def rebuild(study: Study, run: RunFolder, branches: JointSpace, seed: int) -> bool:
    """Put into a study the trials that it lacks and that have students; returns whether there were any.

    They are left running, as if a session had died there: how they ended is then told as of all such trials.

    Their numbers stay, so that they are the names of their folders: where nothing is known of a number, a failed trial
    stands for it, which is not counted. RunError where an older version wrote the students.
    """
    there = len(study.get_trials(deepcopy=False))
    students = {student["trial"]: student for student in run.students() if student["trial"] >= there}
    if not students:
        return False
    for student in students.values():
        if not student["provenance"].keys() >= NEEDED:
            raise RunError(
                f"{run.path}: the study is lost, and trial {student['trial']} was written by an older version, which "
                "did not say enough to make it again; restore study.db, or give another folder with --out"
            )
    config = run.config
    for number in range(there, max(students) + 1):
        study.add_trial(_at_its_end(students[number], branches, seed, config) if number in students else _placeholder())
    return True


def _at_its_end(student: dict[str, Any], branches: JointSpace, seed: int, config: dict[str, Any]) -> FrozenTrial:
    """As it was at its end, before that was told."""
    provenance = student["provenance"]
    record = TrialRecord.of_candidate(
        student["family"],
        student["config"],
        flops=student["flops"],
        params=student["params"],
        latency_ms=student.get(LATENCY_MS),
        seed=provenance["recipe"]["seed"],
        teacher_flops=config["references"]["teacher"]["flops"],
        ordinal=provenance["recipe"]["seed"] - seed,
        at_step={int(step): psnr for step, psnr in provenance["scores"].items()},
    )
    known = branches.distributions()
    return create_trial(
        state=TrialState.RUNNING,
        params=provenance["point"],
        distributions={name: known[name] for name in provenance["point"]},
        user_attrs=record.to_attributes(),
    )


def _placeholder() -> FrozenTrial:
    record = TrialRecord(lost=True, reason="lost with the study")
    return create_trial(state=TrialState.FAIL, user_attrs=record.to_attributes())
