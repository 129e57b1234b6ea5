"""Which trials go on: judged at each rung, a number of training steps, against all trials that got as far."""

from __future__ import annotations

from collections.abc import Container
from typing import Protocol

from typing_extensions import override

from autocompress.search.pareto import Point, ranked
from autocompress.units import decibels, quantity


class StoppingRule(Protocol):
    """Decides at each rung whether a trial ends there, from the scores of all trials. Rung 0 is before training."""

    def record(self, rung: int, point: Point) -> None:
        """Record the score of a trial at a rung."""

    def forget(self, trial: int) -> None:
        """Forget the scores of a trial that has failed, so that they stop no other trial."""

    def stops(self, rung: int, point: Point) -> str | None:
        """Why this trial should end at this rung, for people; None where it may go on."""


class NoStopping(StoppingRule):
    """Every trial goes on to its end. It stores the points of all trials by rung, for the other rules."""

    def __init__(self) -> None:
        self.points: dict[int, list[Point]] = {}

    @override
    def record(self, rung: int, point: Point) -> None:
        self.points.setdefault(rung, []).append(point)

    @override
    def forget(self, trial: int) -> None:
        for rung, points in self.points.items():
            self.points[rung] = [point for point in points if point.trial != trial]

    @override
    def stops(self, rung: int, point: Point) -> str | None:
        return None

    def others(self, rung: int, point: Point) -> list[Point]:
        """The points of all other trials at this rung."""
        return [other for other in self.points.get(rung, []) if other.trial != point.trial]


class DominanceRule(NoStopping):
    """A trial ends where any other that got as far is better at no more cost.

    That stops many, and some of the best: benchmarks/samplers.py compares it with `MOASHARule`.
    """

    @override
    def stops(self, rung: int, point: Point) -> str | None:
        for other in self.others(rung, point):
            if other.dominates(point):
                return f"{_score(rung, point)}; trial {other.trial} has {decibels(other.psnr)} dB at no more cost"
        return None


class MOASHARule(NoStopping):
    """MO-ASHA (Schmucker et al. 2021): of all that reached a rung, the best 1/eta go on, as `ranked` has them.

    Each is judged when it gets there, by those that were there before; the `first` ones go on. Where `at` is given,
    trials stop at none but those rungs.
    """

    def __init__(self, eta: int, first: int = 0, at: Container[int] | None = None) -> None:
        super().__init__()
        self._eta = eta
        self._first = max(first, eta - 1)
        self._at = at

    @override
    def stops(self, rung: int, point: Point) -> str | None:
        if self._at is not None and rung not in self._at:
            return None
        others = self.others(rung, point)
        count = len(others) + 1
        rank = 1 + ranked([*others, point]).index(point)
        if count <= self._first or rank <= count // self._eta:
            return None
        best = {2: "the better half goes", 3: "the best third goes"}.get(self._eta, f"the best 1 in {self._eta} go")
        return f"{_score(rung, point)}, {_nth(rank)} of {count} by PSNR for its cost; {best} on"


def _score(rung: int, point: Point) -> str:
    when = f"after {quantity(rung, 'step')}" if rung else "before training"
    return f"{decibels(point.psnr)} dB {when}"


def _nth(number: int) -> str:
    """1st, 2nd, 3rd, 4th..., 11th, ..."""
    last = 0 if number // 10 % 10 == 1 else number % 10
    return str(number) + {1: "st", 2: "nd", 3: "rd"}.get(last, "th")
