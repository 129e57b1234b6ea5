"""The Optuna study of a run: its storage, its objectives, its sampler."""

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

from autocompress.search.run.record import TrialRecord, is_lost, parameters_of, retried, retries

DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)

optuna.logging.set_verbosity(optuna.logging.WARNING)


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


def enqueue(study: Study, starts: Iterable[Mapping[str, Any]]) -> None:
    """The first trials, but for those that an earlier session has enqueued, if it came so far and not further."""
    trials = study.get_trials(deepcopy=False)
    if any(trial.state != TrialState.WAITING for trial in trials):
        return
    queued = {TrialRecord.of(trial).start for trial in trials}
    for index, values in enumerate(starts):
        if index not in queued:
            study.enqueue_trial(dict(values), user_attrs=TrialRecord(start=index).to_attributes())


def origin(trial: FrozenTrial | optuna.Trial) -> int:
    """The number of the trial whose config this one tries again, or its own: what its seed is made from."""
    first = TrialRecord.of(trial).origin
    return trial.number if first is None else first


def ordinal(trial: FrozenTrial | optuna.Trial, trials: Sequence[FrozenTrial]) -> int:
    """Which config of the study this is, in the order in which they were asked for: what its training's seed is from.

    Unlike a trial's number it is the same whether or not the search was ever cut off. `trials` are all of the study.
    """
    first = trials[origin(trial)]
    stored = TrialRecord.of(first).ordinal
    return first.number - len(retries(trials[: first.number])) if stored is None else stored


def recover(
    study: Study,
    lost: Iterable[FrozenTrial],
    finished: Callable[[int], list[float] | None],
    is_whole: Callable[[Mapping[str, Any]], bool],
) -> None:
    """Close the trials that a dead session left running.

    One whose student is written, as `finished` says by its objective values, is complete; any other is failed, and
    the same config queued again (or the sampler's next, where the search died before it had all parameters).
    """
    for trial in lost:
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
    if again and number not in retried(trials):
        params, attempts = parameters_of(trial), TrialRecord.of(trial).attempts + failed_attempt
        record = TrialRecord(retry_of=number, origin=origin(trial), attempts=attempts)
        study.enqueue_trial(params if is_whole(params) else {}, user_attrs=record.to_attributes())
    study.tell(number, state=TrialState.FAIL)


def ended(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that came to an end of their own: complete, stopped, or failed and not to be tried again."""
    trials = list(trials)
    again = retried(trials)
    over = [trial for trial in trials if trial.state.is_finished() and trial.number not in again]
    return [trial for trial in over if not is_lost(trial)]
