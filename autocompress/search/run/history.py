"""What the trials of a study have come to so far: which configs were tried, and how good they are.

A config is one however often it is tried: a retry stands in for the failed trial whose config it tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from autocompress.search.pareto import Point
from autocompress.search.run.record import TrialRecord, parameters_of, retried, scores_at_rungs
from autocompress.search.stopping import NoStopping, StoppingRule


@dataclass(frozen=True)
class TriedConfig:
    """One config: its parameters in the study, its PSNR-Y in dB once it is trained, and at the rungs before."""

    point: Mapping[str, Any]
    psnr: float | None
    at_step: Mapping[int, float] = field(default_factory=dict)
    stopped: bool = False

    @classmethod
    def of(cls, trial: FrozenTrial) -> TriedConfig:
        """As far as its trial has come."""
        psnr = trial.values[0] if trial.state == TrialState.COMPLETE else None
        return cls(parameters_of(trial), psnr, scores_at_rungs(trial), trial.state == TrialState.PRUNED)

    @property
    def pending(self) -> bool:
        """Whether its score is still to come."""
        return self.psnr is None and not self.stopped


@dataclass(frozen=True)
class _Entry:
    """A trial's config, what it is sorted by, and when the trial ended."""

    config: TriedConfig
    order: str
    ended: datetime | None


class TrialHistory:
    """Reads all trials of a study, those of other sessions too; each that is over it reads once.

    `update` tells `mark_tried` of each trial's parameters, once they are whole, which it answers; and `rule` of all
    scores at rungs. `configs` needs no update, and neither of the two: it is all that a sampler asks for.
    """

    def __init__(
        self, mark_tried: Callable[[Mapping[str, Any]], bool] = lambda _: False, rule: StoppingRule | None = None
    ) -> None:
        self._mark_tried = mark_tried
        self.rule = rule or NoStopping()
        self._marked: set[int] = set()  # the numbers of trials that `mark_tried` has taken
        self._read: set[int] = set()  # the numbers of trials that were over when `update` read them
        self._scored: set[tuple[int, int]] = set()  # the trial and the step of each score that `rule` was told of
        self._entries: dict[int, _Entry] = {}  # of trials that are over, by number

    def update(self, trials: Iterable[FrozenTrial]) -> None:
        """Take in what is new; `trials` are all of the study."""
        for trial in trials:
            if trial.state == TrialState.WAITING or trial.number in self._read:
                continue
            if trial.number not in self._marked and self._mark_tried(trial.params):
                self._marked.add(trial.number)
            if trial.state == TrialState.FAIL:
                self.forget_scores(trial.number)
            else:
                for step, point in points_at_rungs(trial):
                    self.add_score(step, point)
            if trial.state.is_finished():
                self._read.add(trial.number)

    def add_score(self, step: int, point: Point) -> None:
        """A trial has been scored at a rung; nothing changes where that is known."""
        if (point.trial, step) not in self._scored:
            self._scored.add((point.trial, step))
            self.rule.record(step, point)

    def forget_scores(self, number: int) -> None:
        """A trial has failed: its scores stop no other trial."""
        scored = {(trial, step) for trial, step in self._scored if trial == number}
        if scored:
            self._scored -= scored
            self.rule.forget(number)

    def configs(self, trials: Sequence[FrozenTrial], asking: FrozenTrial) -> list[TriedConfig]:
        """All configs but the asking trial's and those that failed for good, sorted by their parameters.

        Neither numbers nor the order of trials show in it, so that it is the same whether or not a search was cut off.
        `trials` are all of the study.
        """
        left_out = {asking.number} | retried(trials)
        entries = [
            self._entry(trial) for trial in trials if trial.number not in left_out and trial.state != TrialState.FAIL
        ]
        return [entry.config for entry in sorted(entries, key=lambda entry: entry.order) if entry.config.point]

    def _entry(self, trial: FrozenTrial) -> _Entry:
        """Read once where the trial is over: Optuna changes nothing of it then.

        When it ended tells it from a trial of the same number in another study.
        """
        known = self._entries.get(trial.number)
        if known is not None and known.ended == trial.datetime_complete:
            return known
        config = TriedConfig.of(trial)
        entry = _Entry(config, repr(sorted(config.point.items())), trial.datetime_complete)
        if trial.state.is_finished():
            self._entries[trial.number] = entry
        return entry


def points_at_rungs(trial: FrozenTrial) -> list[tuple[int, Point]]:
    """The steps that a trial has been scored at, and its PSNR-Y and cost there."""
    record = TrialRecord.of(trial)
    return [(step, Point(trial.number, psnr, record.cost)) for step, psnr in record.at_step.items()]
