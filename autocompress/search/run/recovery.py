"""After a session was killed or a study lost: the study made again from the students, and what was left removed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from autocompress.errors import RunError
from autocompress.search.run.crops import CROPS
from autocompress.search.run.folder import OLD, TIMES, RunFolder
from autocompress.search.run.record import TrialRecord
from autocompress.search.run.soundness import problem_of_study
from autocompress.search.run.storage import StudyStorage
from autocompress.search.run.student import STUDENT, WEIGHTS, StoredStudent
from autocompress.search.run.study import origin
from autocompress.search.space.joint_space import JointSpace
from autocompress.units import quantity


def set_damaged_aside(run: RunFolder, place: StudyStorage, joint_space: JointSpace) -> str | None:
    """Rename a study.db that is damaged, or holds what no search stores; returns a line for the user if there is then
    no study to continue.

    To be called while no other session works on the run. `place` is where the run's own study.db is.
    """
    students = len(run.students())
    made = f"made again from {quantity(students, 'student')}"
    if not run.database.is_file():
        return f"study       study.db is gone; {made}" if students else None
    if not _is_whole(run):
        return f"study       study.db is damaged and now called {aside(run, 'study.db.damaged').name}; {made}"
    if problem := problem_of_study(run, place, joint_space):
        renamed = aside(run, "study.db.damaged")
        return f"study       study.db held what no search stores ({problem}) and is now called {renamed.name}; {made}"
    return None


def aside(run: RunFolder, name: str) -> Path:
    """Rename the run's database, with what SQLite keeps beside it, to a name that nothing has."""
    names = (run.database.with_name(f"{name}{number}") for number in ("", *range(2, 1000)))
    free = next(path for path in names if not path.exists())
    for suffix in ("-wal", "-shm", ""):
        file = run.database.with_name(run.database.name + suffix)
        if file.exists():
            file.rename(free.with_name(free.name + suffix))
    return free


def note_of_lost(run: RunFolder, place: StudyStorage) -> str | None:
    """A line for the user where a run has students and its storage has no study; raises as `Place.open` does."""
    kept = place.open(run)
    try:
        kept.get_study_id_from_name(place.study)
        return None
    except KeyError:
        students = len(run.students())
        return (
            f"study       gone from {place.shown}; made again from {quantity(students, 'student')}"
            if students
            else None
        )
    finally:
        kept.remove_session()


def _is_whole(run: RunFolder) -> bool:
    try:
        with closing(sqlite3.connect(run.database, timeout=60)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError:  # locked or unreadable at the moment, so not known to be damaged
        return True
    except sqlite3.DatabaseError:
        return False


def rebuild(study: Study, run: RunFolder, joint_space: JointSpace, seed: int) -> bool:
    """Put into a study the trials that it lacks and that have students; returns whether there were any.

    They are left running, as if their session had been killed before it told their ends; `study.recover` tells these.
    A trial keeps its number, which is the name of its folder: where nothing is known of a number, a failed trial stands
    for it, which is not counted. RunError where an older version wrote the students.
    """
    first_missing = len(study.get_trials(deepcopy=False))
    students = {student.trial: student for student in run.students() if student.trial >= first_missing}
    if not students:
        return False
    for student in students.values():
        if student.provenance.point is None or student.provenance.scores is None:
            raise RunError(
                f"{run.path}: the study is lost, and trial {student.trial} was written by an older version, which "
                "did not say enough to make it again; restore study.db, or give another folder with --out"
            )
    teacher_flops = run.config.references.teacher.flops
    for number in range(first_missing, max(students) + 1):
        written = students.get(number)
        study.add_trial(_placeholder() if written is None else _at_its_end(written, joint_space, seed, teacher_flops))
    return True


def _at_its_end(student: StoredStudent, joint_space: JointSpace, seed: int, teacher_flops: int) -> FrozenTrial:
    """The trial of a student, still running: with its parameters, and all attributes that the student says."""
    point, scores = student.provenance.point, student.provenance.scores
    assert point is not None
    assert scores is not None
    own_seed = student.provenance.recipe["seed"]
    record = TrialRecord.of_candidate(
        student.shape,
        flops=student.flops,
        params=student.params,
        latency_ms=student.latency_ms,
        seed=own_seed,
        teacher_flops=teacher_flops,
        ordinal=own_seed - seed,
        at_step=scores,
    )
    distributions = joint_space.distributions()
    return create_trial(
        state=TrialState.RUNNING,
        params=dict(point),
        distributions={name: distributions[name] for name in point},
        user_attrs=record.to_attributes(),
    )


def _placeholder() -> FrozenTrial:
    record = TrialRecord(lost=True, reason="lost with the study")
    return create_trial(state=TrialState.FAIL, user_attrs=record.to_attributes())


def sweep(run: RunFolder, trials: Iterable[FrozenTrial]) -> None:
    """Remove what killed processes left and no trial goes on from: half-written files, states, half-written students.

    What a trial that is not over needs stays. To be called while the session holds the lock for asking, so that none
    begins meanwhile.
    """
    pending = [trial for trial in trials if not trial.state.is_finished()]
    busy = {trial.number for trial in pending} | {origin(trial) for trial in pending}
    for folder in run.trial_folders():
        if int(folder.name) not in busy:
            for left in _left_in(folder):
                left.unlink(missing_ok=True)
    for left in run.path.glob(f".{TIMES}.*.tmp"):
        left.unlink(missing_ok=True)
    for left in [*run.artifacts.glob(".*.tmp"), *(run.path / CROPS).glob(".*.tmp")]:
        with suppress(FileNotFoundError):  # its session writes it now, and has just renamed it
            if time.time() - left.stat().st_mtime > OLD:
                left.unlink()


def _left_in(folder: Path) -> Iterable[Path]:
    yield from folder.glob(".*.tmp")
    yield folder / "state.pt"
    if not (folder / STUDENT).exists():  # it is written last
        yield folder / WEIGHTS
        yield from folder.glob("crop-*")
