"""The Optuna study of a run: opened, filled with first trials, and told of trials that failed or were lost."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autocompress.search.run.record import TrialRecord, last_attempts, parameters_of, retried, retries

DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)  # of PSNR-Y, and of what it is weighed against

optuna.logging.set_verbosity(optuna.logging.ERROR)  # a lost connection is ours to tell, in one line


def open_study(storage: BaseStorage, name: str, sampler: BaseSampler, cost: str) -> Study:
    """The study of this name, made where there is none; `cost` is what its second objective is called."""
    metric_names = ["PSNR-Y (dB)", cost]
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=DIRECTIONS,
        sampler=sampler,
        load_if_exists=True,
    )
    if study.metric_names != metric_names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(metric_names)
    return study


def enqueue(study: Study, points: Iterable[Mapping[str, Any]]) -> None:
    """Queue the first trials.

    Nothing once a trial has begun; those that an earlier session queued before it was killed are not queued again.
    """
    trials = study.get_trials(deepcopy=False)
    if any(trial.state != TrialState.WAITING for trial in trials):
        return
    queued = {TrialRecord.of(trial).start for trial in trials}
    for index, point in enumerate(points):
        if index not in queued:
            study.enqueue_trial(dict(point), user_attrs=TrialRecord(start=index).to_attributes())


# --- which config a trial is of ---


def origin(trial: FrozenTrial | optuna.Trial) -> int:
    """The number of the first trial with this trial's config: its own number, unless it is a retry."""
    first = TrialRecord.of(trial).origin
    return trial.number if first is None else first


def ordinal(trial: FrozenTrial | optuna.Trial, trials: Sequence[FrozenTrial]) -> int:
    """How many configs of the study were asked for before a trial's: the seed of its training is made from it.

    Unlike a trial's number it is the same whether or not the search was ever cut off. `trials` are all of the study.
    """
    first = trials[origin(trial)]
    stored = TrialRecord.of(first).ordinal
    return first.number - len(retries(trials[: first.number])) if stored is None else stored


# --- how trials end ---


def ended(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that have ended for good: complete, stopped, or failed and not retried."""
    return [trial for trial in last_attempts(trials) if trial.state.is_finished()]


def fail(
    study: Study,
    number: int,
    *,
    again: bool,
    failed_attempt: bool = False,
    is_whole: Callable[[Mapping[str, Any]], bool] = lambda _: True,
) -> None:
    """Tell that a trial has failed; `again` queues its config once more.

    `failed_attempt` says that it failed by itself, which is counted. Where its parameters are not whole, as `is_whole`
    says, a trial without any is queued: the sampler chooses. It is queued first and told then, so that a search that is
    killed in between loses nothing: the next one sees both.
    """
    trials = study.get_trials(deepcopy=False)
    trial = trials[number]
    if again and number not in retried(trials):
        params, attempts = parameters_of(trial), TrialRecord.of(trial).attempts + failed_attempt
        record = TrialRecord(retry_of=number, origin=origin(trial), attempts=attempts)
        study.enqueue_trial(params if is_whole(params) else {}, user_attrs=record.to_attributes())
    study.tell(number, state=TrialState.FAIL)


def recover(
    study: Study,
    lost: Iterable[FrozenTrial],
    finished: Callable[[int], list[float] | None],
    is_whole: Callable[[Mapping[str, Any]], bool],
) -> None:
    """Tell how trials ended that a session left running when it was killed.

    One whose student is written, as `finished` says by its objective values, is complete; any other has failed, and its
    config is queued again, see `fail`.
    """
    for trial in lost:
        values = finished(trial.number)
        if values is not None:
            study.tell(trial.number, values)
        else:
            fail(study, trial.number, again=True, is_whole=is_whole)
