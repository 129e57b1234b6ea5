"""The history of a study: which configs were tried, and how good they are.

A config counts once, however often it is tried: a retry takes the place of the failed trial whose config it repeats.
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
        """The config of a trial, with its scores so far."""
        psnr = trial.values[0] if trial.state == TrialState.COMPLETE else None
        return cls(parameters_of(trial), psnr, scores_at_rungs(trial), trial.state == TrialState.PRUNED)

    @property
    def pending(self) -> bool:
        """Whether it has no score yet and may still get one."""
        return self.psnr is None and not self.stopped


@dataclass(frozen=True)
class _Entry:
    """A trial's config, what it is sorted by, and when the trial ended."""

    config: TriedConfig
    order: str
    ended: datetime | None


class TrialHistory:
    """Reads all trials of a study, those of other sessions too. A trial that has ended is read only once.

    `update` calls `mark_tried` with the parameters of each new trial, until it answers that they were complete, and
    tells `rule` each new score at a rung. `configs`, which samplers use, works without either and without `update`.
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
        """Read what is new; `trials` are all trials of the study."""
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
        """Record a trial's score at a rung, unless it is known already."""
        if (point.trial, step) not in self._scored:
            self._scored.add((point.trial, step))
            self.rule.record(step, point)

    def forget_scores(self, number: int) -> None:
        """Forget the scores of a trial that has failed, so that they stop no other trial."""
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
        """The entry of a trial; one that has ended is read once, as Optuna changes nothing of it any more.

        The time of its end tells it from a trial of the same number in another study.
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
