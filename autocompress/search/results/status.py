"""How a run stands, also while it goes on: read from its study and its files, without writing to either."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autocompress.evaluation.records import TO_TEACHER
from autocompress.search.results.left_out import gone_students, sessions_without_times
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.integrity import sound_students
from autocompress.search.run.record import TrialRecord, last_attempts
from autocompress.search.run.sessions import is_held, locks
from autocompress.search.run.study_file import (
    COMPLETE,
    Outline,
    is_another_database,
    outlines,
    reading_study,
    sqlite_file,
)
from autocompress.search.space.cost import LATENCY_MS, allows

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

STOPPED, FAILED, RUNNING = "PRUNED", "FAIL", "RUNNING"  # states, as Optuna names them, beside COMPLETE
NAMES = {STOPPED: "stopped", FAILED: "failed"}  # of trials that ended early


def status(run: RunFolder, storage: str | None = None) -> dict[str, Any]:
    """A run's status as plain JSON types: numbers of trials by state, the best one, times, and sessions at work.

    Times are in seconds. `storage` is needed where its URL has a password; raises InvalidInput where the study cannot
    be read, RunError as `sound_students` and `reading_study`.
    """
    quick = outlines(run) if storage is None else None
    with reading_study(run):
        for trial in quick or ():
            TrialRecord.sound(trial)
        return _status(run, [Outline.of(trial) for trial in trials_of(run, storage)] if quick is None else quick)


def _status(run: RunFolder, trials: Sequence[Outline]) -> dict[str, Any]:
    alive = [path.stem for path in locks(run.path) if is_held(path)]
    running = {t.number: TrialRecord.of(t) for t in trials if t.state == RUNNING}
    begun = {n: record for n, record in running.items() if record.session in alive and record.begun is not None}
    over = [trial for trial in last_attempts(trials) if trial.state in (COMPLETE, STOPPED, FAILED)]
    states = Counter(trial.state for trial in over)
    wanted = run.config.trials
    return {
        "run": str(run.path),
        "sessions": len(alive),
        "trials": {
            **({} if wanted is None else {"wanted": wanted}),
            "finished": states[COMPLETE],
            "stopped": states[STOPPED],
            "failed": states[FAILED],
            "running": len(begun),
            **({} if wanted is None else {"waiting": max(0, wanted - len(over) - len(begun))}),
        },
        "gone": gone_students(run, trials),
        "best": _best(run, trials),
        "running": [_progress(run, number, record) for number, record in begun.items()],
        "ended_early": [_ended_early(run, trial) for trial in over if trial.state in NAMES],
        "times": _times(run, trials),
    }


def trials_of(run: RunFolder, storage: str | None = None) -> Sequence[FrozenTrial]:
    """All trials of a run's study as they are now; an empty list if the study does not exist yet."""
    from autocompress.search.run.storage import find_storage

    place = find_storage(storage, run)
    file = sqlite_file(run, place.url)
    if file is not None and (not file.is_file() or is_another_database(file)):
        return []
    with place.errors_explained(), reading_study(run):
        kept = place.open(run)
        try:
            try:
                study = kept.get_study_id_from_name(place.study)
            except KeyError:
                return []
            trials: list[FrozenTrial] = kept.get_all_trials(study, deepcopy=False)
            for trial in trials:
                TrialRecord.sound(trial)
        finally:
            kept.remove_session()
    return trials


def _best(run: RunFolder, trials: Sequence[Outline]) -> dict[str, Any] | None:
    """The pick of the front so far; None if no trial within the budget has finished."""
    limit = run.config.search.budget
    complete = [(trial, TrialRecord.of(trial)) for trial in trials if trial.state == COMPLETE]
    inside = [(trial, record) for trial, record in complete if allows(limit, record.to_attributes())]
    if not inside:
        return None
    refined = {student.trial: student.score for student in sound_students(run, trials) if student.refined_steps}
    psnr = {trial.number: refined.get(trial.number, float(trial.values[0])) for trial, _ in inside}
    best, record = max(inside, key=lambda item: (psnr[item[0].number], -item[1].cost))
    latency = {} if record.latency_ms is None else {LATENCY_MS: record.latency_ms}
    return {"trial": best.number, _metric(run): psnr[best.number], "flops": record.flops} | latency


def _metric(run: RunFolder) -> str:
    """The name of what chooses among a run's students."""
    return TO_TEACHER if run.config.search.by_teacher else "psnr_y"


def _progress(run: RunFolder, number: int, record: TrialRecord) -> dict[str, Any]:
    """When the work on a running trial began, and its score at the last rung it has reached, if any."""
    step, psnr = max(record.at_step.items(), default=(None, None))
    seconds = time.time() - (record.begun or 0.0)
    return {"trial": number, "since": record.begun, "seconds": seconds, "step": step, _metric(run): psnr}


def _ended_early(run: RunFolder, trial: Outline) -> dict[str, Any]:
    """Why a trial was stopped or failed; for a failed one also the path of its log."""
    about = {"trial": trial.number, "state": NAMES[trial.state], "reason": TrialRecord.of(trial).reason}
    log = run.trial(trial.number) / "log.txt"
    return about | {"log": str(log)} if trial.state == FAILED and log.is_file() else about


def _times(run: RunFolder, trials: Sequence[Outline]) -> dict[str, Any]:
    """The times of all sessions, up to the last that they wrote, and those of the finished trials."""
    sessions = run.times
    return {
        "sessions": len(sessions),
        "missing_sessions": sessions_without_times(run, trials),
        "total": sum(session.total for session in sessions),
        "parts": _sum([session.parts for session in sessions]),
        "trials": _sum([TrialRecord.of(trial).seconds for trial in trials]),
    }


def _sum(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The sum of the parts by name, the largest first."""
    names = {name for part in parts for name in part}
    total = {name: round(sum(part.get(name, 0.0) for part in parts), 2) for name in names}
    return dict(sorted(total.items(), key=lambda item: -item[1]))
