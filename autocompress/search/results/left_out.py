"""What views of a run leave out, because it is gone or is not what was written there: a line for each kind.

Files are removed, changed, copied over others, or swapped between trials and runs. Where the rest can be shown without
them, it is, and the view says so. Nothing here imports torch; pictures are in `changed_pictures`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from autocompress.errors import RunError, cut
from autocompress.search.run.folder import LATENCY, TIMES, RunFolder
from autocompress.search.run.record import TrialRecord
from autocompress.search.run.sessions import is_held, lock_of
from autocompress.search.run.student import STUDENT
from autocompress.search.run.study_file import COMPLETE, Outline, outlines
from autocompress.units import quantity


def gone_students(run: RunFolder, trials: Iterable[Outline] | None = None) -> list[int]:
    """The finished trials of a run's study that have no student any more.

    `trials` are all of the study, read before now; without them it is read, unless it is on a server.
    """
    trials = outlines(run) if trials is None else trials
    finished = [trial.number for trial in trials or () if trial.state == COMPLETE]
    return [number for number in finished if not (run.trial(number) / STUDENT).is_file()]


def note_of_students(run: RunFolder, gone: Sequence[int]) -> str | None:
    """A line where these students are gone."""
    if not gone:
        return None
    own = (run.config.storage or {}).get("url") is None  # that in a storage for several is not made again
    again = ", or the search's own command trains them again" if own else ""
    return (
        f"{run.path}: the students of {quantity(len(gone), 'finished trial')} ({cut(', '.join(map(str, gone)))}) are "
        f"gone from trials/; restore their folders{again}"
    )


def no_front(run: RunFolder, gone: Sequence[int]) -> RunError:
    """What is said where a run has no student at all; `gone` are those that it had."""
    if (note := note_of_students(run, gone)) is not None:
        return RunError(note)
    return RunError(
        f"{run.path}: no trial has finished yet, so there is no front; "
        "let the search go on, or see by `autocompress status` why trials failed"
    )


def note_of_latencies(run: RunFolder) -> str | None:
    """A line where latencies in trials' folders are of other networks than the students there."""
    others = [folder / LATENCY for folder in run.trial_folders() if run.has_latency_of_another(int(folder.name))]
    if not others:
        return None
    return (
        f"{run.path}: latencies left out, as another network was measured ({cut(', '.join(places(run, others)))}); "
        "`autocompress evaluate RUN --latency` measures those of the front again"
    )


def sessions_without_times(run: RunFolder, trials: Iterable[Outline]) -> int:
    """How many of the sessions that trials were asked for by, and that have ended, have no times in the run's file."""
    known: Collection[str | None] = {session.session for session in run.times}
    named = {TrialRecord.of(trial).session for trial in trials} - {None}
    if None in known:  # an older version's, of which none knows whose they are
        return 0
    return sum(name not in known and not is_held(lock_of(run.path, str(name))) for name in named)


def note_of_times(missing: int) -> str | None:
    """A line where so many sessions have no times."""
    if not missing:
        return None
    return (
        f"{TIMES} lacks the times of {quantity(missing, 'session')} that trials name (killed before they were written, "
        "or the file was changed)"
    )


def note_of_changed(folder: Path, pictures: Sequence[str]) -> str:
    """A line where these pictures in a folder were changed."""
    return (
        f"{folder}: {quantity(len(pictures), 'picture')} left out, as changed or swapped after they were written "
        f"({cut(', '.join(pictures))}); restore what was there"
    )


def places(run: RunFolder, files: Iterable[Path]) -> list[str]:
    """Where files are in a run's folder."""
    return [file.relative_to(run.path).as_posix() for file in files]
