"""The Optuna study of a run: its storage, its objectives, its sampler."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

STUDY_NAME = "autocompress"
DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
METRIC_NAMES = ["PSNR-Y (dB)", "FLOPs (1280x720)"]

optuna.logging.set_verbosity(optuna.logging.WARNING)


def open_study(database: Path, sampler: BaseSampler) -> Study:
    """The study in an SQLite file, made where there is none."""
    study = optuna.create_study(
        storage=_sqlite(database),
        study_name=STUDY_NAME,
        directions=DIRECTIONS,
        sampler=sampler,
        load_if_exists=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(METRIC_NAMES)
    return study


def _sqlite(database: Path) -> RDBStorage:
    """Write-ahead logging lets a dashboard read while a search writes; FULL loses nothing in a power cut."""
    storage = RDBStorage(f"sqlite:///{database.absolute()}", engine_kwargs={"connect_args": {"timeout": 60}})

    def configure(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    sqlalchemy.event.listen(storage.engine, "connect", configure)
    storage.engine.dispose()  # what was connected before this rule
    return storage


def origin(trial: FrozenTrial | optuna.Trial) -> int:
    """The number of the trial whose config this one tries again, or its own: what its seed is made from."""
    return int(trial.user_attrs.get("origin", trial.number))


def attempts(trial: FrozenTrial | optuna.Trial) -> int:
    """How many attempts at this config have failed by themselves, before this one."""
    return int(trial.user_attrs.get("attempts", 0))


def recover(
    study: Study, finished: Callable[[int], list[float] | None], is_whole: Callable[[Mapping[str, Any]], bool]
) -> None:
    """Close the trials that a dead search left running.

    One whose student is written, as `finished` says by its objective values, is complete; any other is failed, and
    the same config queued again (or the sampler's next, where the search died before it had all parameters).
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        values = finished(trial.number)
        if values is not None:
            study.tell(trial.number, values)
        else:
            fail(study, trial.number, again=True, is_whole=is_whole)


def fail(
    study: Study,
    number: int,
    *,
    again: bool,
    failed_attempt: bool = False,
    is_whole: Callable[[Mapping[str, Any]], bool] = lambda _: True,
) -> None:
    """Tell that a trial has failed; `again` queues the same config, which counts a `failed_attempt` of its own.

    Queued first and told then, so that a search which dies in between loses nothing: the next one sees both.
    """
    trials = study.get_trials(deepcopy=False)
    trial = trials[number]
    if again and number not in {other.user_attrs.get("retry_of") for other in trials}:
        params = trial.params | trial.system_attrs.get("fixed_params", {})
        attributes = {"retry_of": number, "origin": origin(trial), "attempts": attempts(trial) + failed_attempt}
        study.enqueue_trial(params if is_whole(params) else {}, user_attrs=attributes)
    study.tell(number, state=TrialState.FAIL)


def ended(study: Study) -> list[FrozenTrial]:
    """Trials that came to an end of their own: complete, stopped, or failed and not to be tried again."""
    trials = study.get_trials(deepcopy=False)
    retried = {trial.user_attrs.get("retry_of") for trial in trials}
    return [trial for trial in trials if trial.state.is_finished() and trial.number not in retried]
