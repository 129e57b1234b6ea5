"""Which parameters of a space mattered for PSNR-Y."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from autocompress.search.run.study import DIRECTIONS

MIN_TRIALS = 8  # finished ones of one space: a random forest fitted to fewer says nothing
SEED = 0  # of the random forest


def importances(trials: Iterable[FrozenTrial]) -> dict[tuple[str, ...], tuple[int, dict[str, float]]]:
    """For each space with MIN_TRIALS finished trials, by the names of its parameters: their number, and the shares.

    The share is how much of the variance of PSNR-Y over the space a parameter explains by itself and with others
    (fANOVA, Hutter et al. 2014), the largest first; they sum to 1. A space where nothing explains any is left out, and
    so is a parameter that had the same value in all of these trials: of such a one nothing is known.
    """
    spaces: dict[tuple[str, ...], list[FrozenTrial]] = {}
    for trial in trials:
        if trial.state == TrialState.COMPLETE:
            spaces.setdefault(tuple(sorted(trial.params)), []).append(trial)
    explained = {names: (len(of), _shares(of)) for names, of in spaces.items() if len(of) >= MIN_TRIALS}
    return {names: (count, shares) for names, (count, shares) in explained.items() if any(shares.values())}


def _shares(trials: list[FrozenTrial]) -> dict[str, float]:
    study = optuna.create_study(directions=DIRECTIONS)
    study.add_trials(trials)
    varied = [name for name in trials[0].params if len({repr(trial.params[name]) for trial in trials}) > 1]
    if not varied:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            return get_param_importances(
                study,
                evaluator=FanovaImportanceEvaluator(seed=SEED),
                params=varied,
                target=lambda trial: float(trial.values[0]),
            )
        except RuntimeError:  # "zero total variance": all have the same score
            return {}
