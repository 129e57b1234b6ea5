"""Which trials go on: judged at each rung against all trials that got as far, in the sense of the front."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Point:
    """One trial at one rung: its PSNR-Y in dB so far, and what it costs: FLOPs, or ms."""

    trial: int
    psnr: float
    cost: float

    def dominates(self, other: Point) -> bool:
        """No more cost and no lower PSNR, and better in one of them."""
        if self.cost < other.cost:
            return self.psnr >= other.psnr
        return self.cost == other.cost and self.psnr > other.psnr


def front(points: list[Point]) -> list[Point]:
    """The points that no other dominates, by cost."""
    ordered = sorted(points, key=lambda point: (point.cost, -point.psnr, point.trial))
    best: list[Point] = []
    for point in ordered:
        if not best or point.psnr > best[-1].psnr:
            best.append(point)
    return best


def ranked(points: Sequence[Point]) -> list[Point]:
    """The best first: by how many fronts are taken away before a point is on one, then by how lonely it is there.

    How lonely is the crowding distance of NSGA-II (Deb et al. 2002) in log10 cost and PSNR; of equal ones the earlier
    trial comes first.
    """
    order = list[Point]()
    for best in _fronts(points):
        distances = _crowding(best)
        order += sorted(best, key=lambda point: (-distances[point.trial], point.trial))
    return order


def _fronts(points: Sequence[Point]) -> list[list[Point]]:
    """The points that no other dominates, those that no other of the rest dominates, and so on.

    A point is compared with the last one of each front alone: in this order that has the front's best PSNR, and costs
    no more. So n points take n log n steps.
    """

    def order(point: Point) -> tuple[float, float]:
        return point.cost, -point.psnr

    fronts = list[list[Point]]()
    for (_, lower), equal in groupby(sorted(points, key=order), order):
        place = bisect_right(fronts, lower, key=lambda front: -front[-1].psnr)
        if place == len(fronts):
            fronts.append([])
        fronts[place] += equal
    return fronts


def _crowding(points: Sequence[Point]) -> dict[int, float]:
    """By trial: the distance between both neighbours along the front, as shares of its length; infinite at its ends."""
    ordered = sorted(points, key=lambda point: (point.cost, point.trial))
    distances = dict.fromkeys((point.trial for point in ordered), 0.0)
    for values in ([math.log10(point.cost) for point in ordered], [point.psnr for point in ordered]):
        span = values[-1] - values[0]
        for index, point in enumerate(ordered):
            if index in (0, len(ordered) - 1):
                distances[point.trial] = math.inf
            elif span:
                distances[point.trial] += (values[index + 1] - values[index - 1]) / span
    return distances


class Rungs:
    """The scores of all trials at each rung (a number of training steps), and the rule by which a trial ends there.

    Here it is dominance: a trial ends where any other that got as far is better at no more cost. That stops many, and
    some of the best: benchmarks/samplers.py compares it with `HalvingRungs`.
    """

    def __init__(self) -> None:
        self._points: dict[int, list[Point]] = {}

    def record(self, rung: int, point: Point) -> None:
        """A trial has been scored at a rung; 0 is before training."""
        self._points.setdefault(rung, []).append(point)

    def forget(self, trial: int) -> None:
        """A trial has failed: what it had reached is no student, and stops no other."""
        for rung, points in self._points.items():
            self._points[rung] = [point for point in points if point.trial != trial]

    def stops(self, rung: int, point: Point) -> str | None:
        """Why this trial should end at this rung, or None when it may go on."""
        for other in self._points.get(rung, []):
            if other.trial != point.trial and other.dominates(point):
                when = f"after {rung} steps" if rung else "before training"
                return (
                    f"{when} it has {point.psnr:.2f} dB, "
                    f"and trial {other.trial} has {other.psnr:.2f} dB at no more cost"
                )
        return None


class HalvingRungs(Rungs):
    """MO-ASHA (Schmucker et al. 2021): of all that reached a rung, the best 1/eta go on, as `ranked` has them.

    Each is judged when it gets there, by those that were there before; the `first` ones go on. Where `at` is given,
    trials stop at none but those rungs.
    """

    def __init__(self, eta: int, first: int = 0, at: Container[int] | None = None) -> None:
        super().__init__()
        self._eta = eta
        self._first = max(first, eta - 1)
        self._at = at

    def stops(self, rung: int, point: Point) -> str | None:
        """Why this trial should end at this rung, or None when it may go on."""
        if self._at is not None and rung not in self._at:
            return None
        others = [other for other in self._points.get(rung, []) if other.trial != point.trial]
        count = len(others) + 1
        place = 1 + ranked([*others, point]).index(point)
        if count <= self._first or place <= count // self._eta:
            return None
        when = f"after {rung} steps" if rung else "before training"
        return f"{when} it has {point.psnr:.2f} dB, and is number {place} of {count}, of which 1 in {self._eta} goes on"
