"""Which parameters of a space mattered for PSNR-Y."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState, create_trial

from autocompress.search.run.record import scores_at_rungs

MIN_TRIALS = 8  # of one space: a random forest fitted to fewer says nothing
SEED = 0  # of the random forest


@dataclass(frozen=True)
class Importances:
    """What mattered in one space, whose parameters' `names` tell it from others.

    `shares` are how much of the variance of PSNR-Y over the space each parameter explains by itself and with others
    (fANOVA, Hutter et al. 2014), the largest first; they sum to 1. Those that had the same value in all of these trials
    are not among them, as nothing is known of them: they are the `unvaried`. Computed from `count` trials, by their
    score after `step` steps, `stopped` of which ended before their last step; where `step` is None none was stopped,
    and it is their score at the end.
    """

    names: tuple[str, ...]
    count: int
    step: int | None
    stopped: int
    shares: Mapping[str, float]

    @property
    def unvaried(self) -> list[str]:
        """The parameters of which nothing is known."""
        return [name for name in self.names if name not in self.shares]


def importances(trials: Iterable[FrozenTrial]) -> list[Importances]:
    """Of each space with MIN_TRIALS trials to compute it from, unless nothing explains any of their scores.

    Only the better trials are trained to their end, so among those alone a parameter can seem to matter less than it
    does. Where trials were stopped, all are therefore compared by their scores at the last rung that all of them have
    come to.
    """
    spaces: dict[tuple[str, ...], list[FrozenTrial]] = {}
    for trial in trials:
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            spaces.setdefault(tuple(sorted(trial.params)), []).append(trial)
    found = (_of_space(names, of_space) for names, of_space in spaces.items())
    return [each for each in found if each is not None]


def _of_space(names: tuple[str, ...], trials: Sequence[FrozenTrial]) -> Importances | None:
    finished = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    scores, step = [(trial, float(trial.values[0])) for trial in finished], None
    at_rungs = [(trial, rungs) for trial in trials if (rungs := _rungs(trial))]
    common = set.intersection(*(set(rungs) for _, rungs in at_rungs)) if at_rungs else set()
    if common and len(at_rungs) > len(finished):
        step = max(common)
        scores = [(trial, rungs[step]) for trial, rungs in at_rungs]
    if len(scores) < MIN_TRIALS:
        return None
    shares = _shares(names, scores)
    stopped = sum(trial.state == TrialState.PRUNED for trial, _ in scores)
    return Importances(names, len(scores), step, stopped, shares) if any(shares.values()) else None


def _rungs(trial: FrozenTrial) -> dict[int, float]:
    """A trial's scores by step, of rungs in its training: before it, what concerns training has no effect."""
    return {step: psnr for step, psnr in scores_at_rungs(trial).items() if step > 0}


def _shares(names: Sequence[str], scores: Sequence[tuple[FrozenTrial, float]]) -> dict[str, float]:
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [create_trial(params=trial.params, distributions=trial.distributions, value=psnr) for trial, psnr in scores]
    )
    varied = [name for name in names if len({repr(trial.params[name]) for trial, _ in scores}) > 1]
    if not varied:
        return {}
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances  # import scikit-learn: a second

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=SEED), params=varied)
        except RuntimeError:  # "zero total variance": all have the same score
            return {}
