"""What a search knows of all trials of its study, those of other sessions too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from autocompress.search.pareto import Point
from autocompress.search.run.record import TrialRecord
from autocompress.search.stopping import StoppingRule


class Known:
    """The configs that were tried, and the scores at rungs; `look` brings it up to date."""

    def __init__(self, mark_tried: Callable[[Mapping[str, Any]], bool], rule: StoppingRule) -> None:
        """`mark_tried` is told of each trial's parameters, and says whether they are whole."""
        self._mark_tried = mark_tried
        self._seen: set[int] = set()
        self._over: set[int] = set()  # trials that are over, of which nothing is new any more
        self._scored: set[tuple[int, int]] = set()  # trial and rung
        self.rule = rule

    def look(self, trials: Iterable[FrozenTrial]) -> None:
        """Take in what is new."""
        for trial in trials:
            if trial.state == TrialState.WAITING or trial.number in self._over:
                continue
            if trial.number not in self._seen and self._mark_tried(trial.params):
                self._seen.add(trial.number)
            if trial.state == TrialState.FAIL:
                self.forget(trial.number)
            else:
                for rung, point in scores(trial):
                    self.record(rung, point)
            if trial.state.is_finished():
                self._over.add(trial.number)

    def record(self, rung: int, point: Point) -> None:
        """A trial has been scored at a rung, of which it may have been told before."""
        if (point.trial, rung) not in self._scored:
            self._scored.add((point.trial, rung))
            self.rule.record(rung, point)

    def forget(self, number: int) -> None:
        """A trial has failed: see `StoppingRule.forget`."""
        known = {(trial, rung) for trial, rung in self._scored if trial == number}
        if known:
            self._scored -= known
            self.rule.forget(number)


def scores(trial: FrozenTrial) -> list[tuple[int, Point]]:
    """The rungs that a trial has been scored at."""
    record = TrialRecord.of(trial)
    return [(step, Point(trial.number, psnr, record.cost)) for step, psnr in record.at_step.items()]
