"""What a search knows of all trials of its study, those of other sessions too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from autocompress.search.pareto import Point
from autocompress.search.run.record import TrialRecord
from autocompress.search.space.joint_space import Key
from autocompress.search.stopping import Rungs


class Known:
    """The configs that were tried, and the scores at rungs; `look` brings it up to date."""

    def __init__(self, key_of: Callable[[Mapping[str, Any]], Key | None], rungs: Rungs) -> None:
        """`key_of` tells configs apart by a study's parameters; None where these are not whole."""
        self._key_of = key_of
        self._seen: set[int] = set()
        self._over: set[int] = set()  # trials that are over, of which nothing is new any more
        self._scored: set[tuple[int, int]] = set()  # trial and rung
        self.tried: set[Key] = set()
        self.rungs = rungs

    def look(self, trials: Iterable[FrozenTrial]) -> None:
        """Take in what is new."""
        for trial in trials:
            if trial.state == TrialState.WAITING or trial.number in self._over:
                continue
            if trial.number not in self._seen and (key := self._key_of(trial.params)) is not None:
                self._seen.add(trial.number)
                self.tried.add(key)
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
            self.rungs.record(rung, point)

    def forget(self, number: int) -> None:
        """A trial has failed: see `Rungs.forget`."""
        known = {(trial, rung) for trial, rung in self._scored if trial == number}
        if known:
            self._scored -= known
            self.rungs.forget(number)


def scores(trial: FrozenTrial) -> list[tuple[int, Point]]:
    """The rungs that a trial has been scored at."""
    record = TrialRecord.of(trial)
    return [(step, Point(trial.number, psnr, record.cost)) for step, psnr in record.at_step.items()]
