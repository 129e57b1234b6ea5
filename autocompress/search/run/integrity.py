"""Whether the parts of a run belong together: its study, its trials' folders, and the weights and scores in these.

Folders are removed to save room or renamed, files are copied over others or changed, databases are restored from the
wrong backup. A front of what is left would be wrong without a word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from autocompress.errors import RunError, cut
from autocompress.evaluation.records import TO_TEACHER, score_of
from autocompress.io.checkpoints import digest_of
from autocompress.names import printable
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.record import TrialRecord
from autocompress.search.run.recovery import aside
from autocompress.search.run.sessions import is_held, locks
from autocompress.search.run.storage import StudyStorage
from autocompress.search.run.student import STUDENT, StoredStudent
from autocompress.search.run.study_file import Outline, outlines
from autocompress.units import quantity

NEAR = 1e-3  # dB, and a part of a cost: versions of libraries may have rounded otherwise


def check_run(run: RunFolder) -> None:
    """As `check_students`, and as `check_study` where the study is in the run's own file and can be read so."""
    check_students(run)
    check_study(run, [trial for trial in outlines(run) or () if trial.state == TrialState.COMPLETE.name])


def check_students(run: RunFolder) -> None:
    """RunError where the weights of a student are gone, or are others than its side file was written for, and where
    that has scores that contradict each other, or another teacher than the run."""
    spaces = run.config.search.spaces if run.exists() else {}
    for student in run.students():
        again = _again(student)
        if not student.file.is_file():
            raise RunError(f"{student.file}: missing, but its student.json is there; {again}")
        if student.weights and digest_of(student.file.read_bytes()) not in student.weights:
            raise RunError(f"{student.file}: replaced or damaged, as its student.json was written for others; {again}")
        made = student.provenance
        theirs, ours = {"teacher": made.teacher_digest, "target": made.target_digest}, spaces.get(made.space or "", {})
        for what, digest in theirs.items():
            if digest is not None and ours.get(what) not in (None, digest):
                raise RunError(
                    f"{student.file.with_name(STUDENT)}: of another run, as its {what} ({getattr(made, what)}) is not "
                    f"that of this one; {again}"
                )
        if other := _contradiction(student):
            raise RunError(f"{student.file.with_name(STUDENT)}: changed after it was written, as {other}; {again}")


def _again(student: StoredStudent) -> str:
    return f"restore it, or remove the folder {student.file.parent}, and the same command trains another in its place"


def _contradiction(student: StoredStudent) -> str:
    """Which two scores of a student cannot both be true; empty where all can."""
    by_image = {"psnr_y": student.psnr_y_by_image, TO_TEACHER: student.psnr_y_to_teacher_by_image}
    for name, scores in by_image.items():
        if scores and name in student.metrics:
            mean = sum(scores.values()) / len(scores)
            if not abs(mean - student.metrics[name]) <= NEAR:
                return f"its {name} is {student.metrics[name]:.6g}, but the mean over its images is {mean:.6g}"
    kept = [piece.psnr_y for piece in student.provenance.refinements if piece.kept]
    came_out = kept[-1] if kept else score_of(student.judged)
    if not abs(student.score - came_out) <= NEAR:
        return f"its score is {student.score:.6g}, but what it was trained to is {came_out:.6g}"
    return ""


def check_study(run: RunFolder, trials: Sequence[Outline]) -> None:
    """RunError where a trial's folder has the student of another of these finished trials of the run's study, or one
    of other scores than its trial.

    A student is known by the seed of its training and its network; older ones, which do not say these, are not looked
    at.
    """
    students = {student.trial: student for student in run.students()}
    known = {record: trial.number for trial in trials if (record := _of_trial(trial)) is not None}
    own = {number: _of_student(student) for number, student in students.items()}
    whose = {number: known.get(record) for number, record in own.items() if record is not None}
    finished = set(known.values())
    moved = {
        number: owner
        for number, owner in whose.items()
        if owner is not None and owner != number and (number in finished or whose.get(owner) != owner)
    }
    if moved:
        listed = cut(
            ", ".join(f"{run.trial(number).name} has that of trial {owner}" for number, owner in moved.items())
        )
        raise RunError(
            f"{run.path / 'trials'}: students lie in folders of other trials ({listed}); give the folders their own "
            "names again, or remove them, and the same command trains others in their place"
        )
    for trial in trials:
        if whose.get(trial.number) == trial.number and (changed := _changed(trial, students[trial.number])):
            student = students[trial.number]
            raise RunError(
                f"{student.file.with_name(STUDENT)}: changed after it was written, as {changed}; {_again(student)}"
            )


Known = tuple[int, str]


def _of_trial(trial: Outline) -> Known | None:
    record = TrialRecord.of(trial)
    return None if record.seed is None or record.config is None else (record.seed, record.config)


def _of_student(student: StoredStudent) -> Known | None:
    seed = student.provenance.recipe.get("seed")
    return None if seed is None or student.network is None else (seed, student.network)


def _changed(trial: Outline, student: StoredStudent) -> str:
    """Which number of a student is not that of its trial in the study; empty where all are."""
    record = TrialRecord.of(trial)
    here = {**student.judged, "flops": student.flops, "params": student.params}
    there = {**record.metrics, "flops": record.flops, "params": record.params}
    for name in here.keys() & there.keys():
        was, now = there[name], here[name]
        if was is not None and not math.isclose(was, now, rel_tol=0 if name in record.metrics else NEAR, abs_tol=NEAR):
            return f"its {name} is {now:.6g}, but {was:.6g} in the study"
    return ""


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
    check_study(run, [Outline.of(trial) for trial in finished])
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
