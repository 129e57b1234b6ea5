"""Whether the parts of a run belong together: its study, its trials' folders, and the weights and scores in these.

Folders are renamed, files are copied over others or changed. A front of what is left would be wrong without a word.
Nothing here imports torch or optuna, so that a front is shown at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from autocompress.errors import RunError, cut
from autocompress.evaluation.records import TO_TEACHER, score_of
from autocompress.io.checksums import digest_of
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.record import TrialRecord
from autocompress.search.run.student import STUDENT, StoredStudent, read_student
from autocompress.search.run.study_file import COMPLETE, Outline, outlines, reading_study

LARGEST_SHOWN = 6 * 10**6  # bytes of a file of weights that is read whenever a front is shown
# dB, and of SSIM: further apart are scores of bicubic on other images; where a network's outputs stand
# for HR, another arithmetic of another machine makes less of a difference
OTHER_IMAGES = 0.01
NEAR = 1e-3  # dB, and a part of a cost: versions of libraries may have rounded otherwise


def check_run(run: RunFolder) -> None:
    """As `check_students`, and as `sound_students`."""
    check_students(run)
    sound_students(run)


def sound_students(run: RunFolder, trials: Sequence[Outline] | None = None) -> list[StoredStudent]:
    """The students of a run, by trial number; files of weights are not read.

    RunError as `check_scores`, `check_images`, `check_study` and `reading_study`. `trials` are
    those of the study, if they are known: else nothing is compared with a study on a server, which takes long to read.
    """
    trials = (
        outlines(run) if trials is None else trials
    )  # before the students: one that finishes meanwhile has no trial here, and that is no fault
    students = run.students()
    check_scores(students)
    check_images(run, students)
    if trials is not None:
        with reading_study(run):
            check_study(run, students, [trial for trial in trials if trial.state == COMPLETE])
    return students


def check_scores(students: Sequence[StoredStudent]) -> None:
    """RunError where a student has scores that contradict each other."""
    for student in students:
        if other := _contradiction(student):
            raise _changed_by_hand(student, other)


def check_images(run: RunFolder, students: Sequence[StoredStudent]) -> None:
    """RunError where a student was scored on other images than the run's, by what bicubic has on them.

    Its scores would stand beside references that are of other images: one of the two is of another run. Older students,
    which do not say what bicubic has, are not looked at.
    """
    if not run.exists():
        return
    ours = run.config.references.bicubic.scores
    for student in students:
        theirs = (student.provenance.validation or {}).get("bicubic")
        for name in ("psnr_y", "ssim_y"):
            known = theirs.get(name) if isinstance(theirs, Mapping) else None
            if isinstance(known, int | float) and name in ours and not abs(known - ours[name]) <= OTHER_IMAGES:
                raise RunError(
                    f"{student.file.with_name(STUDENT)}: of another run than config.json, as bicubic's {name} is "
                    f"{known:.6g} on the images that it was scored on, but {ours[name]:.6g} there; restore the one "
                    f"that is not of this run, or remove the folder {student.file.parent}"
                )


def check_students(run: RunFolder) -> None:
    """RunError where the weights of a student are gone, or are others than its side file was written for, and where
    that has scores that contradict each other, or another teacher or other images than the run."""
    spaces = run.config.search.spaces if run.exists() else {}
    students = run.students()
    for student in students:
        again = _again(student)
        check_weights(student)
        made = student.provenance
        theirs, ours = {"teacher": made.teacher_digest, "target": made.target_digest}, spaces.get(made.space or "", {})
        for what, digest in theirs.items():
            if digest is not None and ours.get(what) not in (None, digest):
                raise RunError(
                    f"{student.file.with_name(STUDENT)}: of another run, as its {what} ({getattr(made, what)}) is not "
                    f"that of this one; {again}"
                )
    check_scores(students)
    check_images(run, students)


def check_small_weights(students: Sequence[StoredStudent]) -> None:
    """As `check_weights`, of those that know their weights and have at most LARGEST_SHOWN bytes of them.

    That is quick enough to be done whenever a front is shown.
    """
    for student in students:
        if student.weights and not _is_large(student.file):
            check_weights(student)


def check_weights(student: StoredStudent) -> None:
    """RunError where the weights of a student are gone, or are others than its side file was written for."""
    if not student.file.is_file():
        raise RunError(f"{student.file}: missing, but its student.json is there; {_again(student)}")
    known = student.weights
    while known and digest_of(student.file.read_bytes()) not in known:
        now = read_student(student.file.parent)
        if now is None or now.weights == known:
            raise RunError(
                f"{student.file}: replaced or damaged, as its student.json was written for others; {_again(student)}"
            )
        known = now.weights  # a refinement has written both since


def _is_large(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > LARGEST_SHOWN


def _again(student: StoredStudent) -> str:
    return f"restore it, or remove the folder {student.file.parent}, and the search's own command trains another"


def _changed_by_hand(student: StoredStudent, how: str) -> RunError:
    file = student.file.with_name(STUDENT)
    return RunError(f"{file}: changed after it was written, as {how}; {_again(student)}")


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


def check_study(run: RunFolder, stored: Sequence[StoredStudent], trials: Sequence[Outline]) -> None:
    """RunError where a trial's folder has the student of another of these finished trials of the run's study, or one
    of other scores than its trial. `stored` are the students that the run has.

    A student is known by the seed of its training and its network; older ones, which do not say these, are not looked
    at.
    """
    students = {student.trial: student for student in stored}
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
            "names again, or remove them, and the search's own command trains others"
        )
    for trial in trials:
        if whose.get(trial.number) == trial.number and (changed := _changed(trial, students[trial.number])):
            raise _changed_by_hand(students[trial.number], changed)


Known = tuple[int, str]


def _of_trial(trial: Outline) -> Known | None:
    record = TrialRecord.of(trial)
    return _known(record.seed, record.config)


def _of_student(student: StoredStudent) -> Known | None:
    seed = student.provenance.recipe.get("seed")
    return _known(seed, student.network)


def _known(seed: object, network: object) -> Known | None:
    """Of what files say, which may be anything."""
    return (seed, network) if isinstance(seed, int) and isinstance(network, str) else None


def _changed(trial: Outline, student: StoredStudent) -> str:
    """Which number of a student is not that of its trial in the study; empty where all are."""
    record = TrialRecord.of(trial)
    here = {**student.judged, "flops": student.flops, "params": student.params}
    there = {**record.metrics, "flops": record.flops, "params": record.params}
    for name in here.keys() & there.keys():
        was, now = there[name], here[name]
        if isinstance(was, int | float) and not math.isclose(
            was, now, rel_tol=0 if name in record.metrics else NEAR, abs_tol=NEAR
        ):
            return f"its {name} is {now:.6g}, but {was:.6g} in the study"
    return ""
