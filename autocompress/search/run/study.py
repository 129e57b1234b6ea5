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

DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
SESSION = "session"  # the user attribute with the id of who asked for a trial
BEGUN = "begun"  # the user attribute with when the work on it began, in seconds since 1970
START = "start"  # the user attribute with the place of a first trial among them
ORDINAL = "ordinal"  # the user attribute that says what `ordinal` cannot see
LOST = "lost"  # the user attribute of a trial of which nothing is known but that there was one

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
    there = {trial.user_attrs.get(START) for trial in trials}
    for place, values in enumerate(starts):
        if place not in there:
            study.enqueue_trial(dict(values), user_attrs={START: place})


def origin(trial: FrozenTrial | optuna.Trial) -> int:
    """The number of the trial whose config this one tries again, or its own: what its seed is made from."""
    return int(trial.user_attrs.get("origin", trial.number))


def ordinal(trial: FrozenTrial | optuna.Trial, trials: Sequence[FrozenTrial]) -> int:
    """Which config of the study this is, in the order in which they were asked for: what its training's seed is from.

    Unlike a trial's number it is the same whether or not the search was ever cut off. `trials` are all of the study.
    """
    first = trials[origin(trial)]
    known = first.user_attrs.get(ORDINAL)
    return sum(not is_retry(other) for other in trials[: first.number]) if known is None else int(known)


def is_retry(trial: FrozenTrial) -> bool:
    """Whether it tries the config of another again."""
    return "retry_of" in trial.user_attrs


def attempts(trial: FrozenTrial | optuna.Trial) -> int:
    """How many attempts at this config have failed by themselves, before this one."""
    return int(trial.user_attrs.get("attempts", 0))


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
    if again and number not in {other.user_attrs.get("retry_of") for other in trials}:
        params = trial.params | trial.system_attrs.get("fixed_params", {})
        attributes = {"retry_of": number, "origin": origin(trial), "attempts": attempts(trial) + failed_attempt}
        study.enqueue_trial(params if is_whole(params) else {}, user_attrs=attributes)
    study.tell(number, state=TrialState.FAIL)


def ended(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that came to an end of their own: complete, stopped, or failed and not to be tried again."""
    trials = list(trials)
    retried = {trial.user_attrs.get("retry_of") for trial in trials}
    lost = {trial.number for trial in trials if LOST in trial.user_attrs}
    return [trial for trial in trials if trial.state.is_finished() and trial.number not in retried | lost]
