"""Pareto fronts of cost and PSNR-Y: points, which dominates which, their ranks, and the hypervolume."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
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


@dataclass(frozen=True)
class ReferencePoint:
    """The reference point of hypervolumes: the (largest) teacher's cost, and bicubic's PSNR-Y in dB."""

    cost: float
    psnr: float


def front(points: list[Point]) -> list[Point]:
    """The points that no other dominates, by cost."""
    ordered = sorted(points, key=lambda point: (point.cost, -point.psnr, point.trial))
    undominated: list[Point] = []
    for point in ordered:
        if not undominated or point.psnr > undominated[-1].psnr:
            undominated.append(point)
    return undominated


def ranked(points: Sequence[Point]) -> list[Point]:
    """The best first, as NSGA-II ranks them (Deb et al. 2002): by non-dominated front, then by crowding distance there.

    The distance is in log10 cost and PSNR; of points with the same the earlier trial comes first.
    """
    order = list[Point]()
    for level in _fronts(points):
        distances = _crowding_distances(level)
        order += sorted(level, key=lambda point: (-distances[point.trial], point.trial))
    return order


def _fronts(points: Sequence[Point]) -> list[list[Point]]:
    """Non-dominated sorting: the points that no other dominates, those that no other of the rest dominates, and so on.

    A point is compared with the last one of each front alone: in this order the last has the front's best PSNR, and
    costs no more. So n points take n log n steps.
    """

    def order(point: Point) -> tuple[float, float]:
        return point.cost, -point.psnr

    fronts = list[list[Point]]()
    for (_, lower), equal in groupby(sorted(points, key=order), order):
        level = bisect_right(fronts, lower, key=lambda front: -front[-1].psnr)
        if level == len(fronts):
            fronts.append([])
        fronts[level] += equal
    return fronts


def _crowding_distances(points: Sequence[Point]) -> dict[int, float]:
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


def hypervolume(points: Iterable[Point], reference: ReferencePoint) -> float:
    """The area (log10 cost, dB) between the points' front and the reference.

    Points that are not better than the reference in both add nothing.
    """
    better = front([point for point in points if point.cost < reference.cost and point.psnr > reference.psnr])
    total, floor = 0.0, reference.psnr
    for point in better:  # by cost, so each adds a strip on top of those before it
        total += (point.psnr - floor) * (math.log10(reference.cost) - math.log10(point.cost))
        floor = point.psnr
    return total
