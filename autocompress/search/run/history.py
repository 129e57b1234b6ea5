"""What a study has seen, by config and not by trial: a retry stands in for the trial whose config it tries again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from autocompress.search.run.record import parameters_of, retried, scores_at_rungs
from autocompress.search.run.study import ordinal


@dataclass(frozen=True)
class KnownConfig:
    """One config: its parameters in the study, its PSNR-Y in dB once it is trained, and at the rungs before."""

    point: Mapping[str, Any]
    psnr: float | None
    at_step: Mapping[int, float] = field(default_factory=dict)
    stopped: bool = False

    @property
    def pending(self) -> bool:
        """Whether its score is still to come."""
        return self.psnr is None and not self.stopped


Over = dict[int, tuple[FrozenTrial, str, KnownConfig]]  # by number: with what its place is sorted by


def history(trials: Sequence[FrozenTrial], asking: FrozenTrial, over: Over) -> list[KnownConfig]:
    """All configs but the asking trial's and those that failed for good, sorted by their parameters.

    Neither numbers nor the order of trials show in it, so that it is the same whether or not a search was cut off.
    `trials` are all of a study; `over` keeps what is read of those that are over, which does not change any more.
    """
    again = retried(trials)
    found = []
    for trial in trials:
        if trial.number in again or trial.number == asking.number or trial.state == TrialState.FAIL:
            continue
        known = over.get(trial.number)
        if known is None or known[0] is not trial:
            config = _known(trial)
            known = trial, repr(sorted(config.point.items())), config
            if trial.state.is_finished():
                over[trial.number] = known
        found.append(known)
    return [config for _, _, config in sorted(found, key=lambda known: known[1]) if config.point]


def asked_before(study: Study, asking: FrozenTrial) -> int:
    """How many trials were asked for before this one (or before the one that it tries again), retries not counted."""
    return ordinal(asking, study.get_trials(deepcopy=False))


def _known(trial: FrozenTrial) -> KnownConfig:
    psnr = trial.values[0] if trial.state == TrialState.COMPLETE else None
    return KnownConfig(parameters_of(trial), psnr, scores_at_rungs(trial), trial.state == TrialState.PRUNED)
