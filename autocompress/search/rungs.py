"""Which trials go on: judged at each rung against all trials that got as far, in the sense of the front."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One trial at one rung: its PSNR-Y in dB so far, and its FLOPs."""

    trial: int
    psnr: float
    flops: int

    def dominates(self, other: Point) -> bool:
        """No more FLOPs and no lower PSNR, and better in one of them."""
        if self.flops < other.flops:
            return self.psnr >= other.psnr
        return self.flops == other.flops and self.psnr > other.psnr


def front(points: list[Point]) -> list[Point]:
    """The points that no other dominates, by FLOPs."""
    ordered = sorted(points, key=lambda point: (point.flops, -point.psnr, point.trial))
    best: list[Point] = []
    for point in ordered:
        if not best or point.psnr > best[-1].psnr:
            best.append(point)
    return best


class Rungs:
    """The scores of all trials at each rung (a number of training steps), and the rule by which a trial ends there.

    Students made by projection rank before training much as they rank after it (benchmarks/default_search.py prints how
    much), so one that is dominated at a rung, by any that got as far, would most likely train on for nothing.
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
                    f"and trial {other.trial} has {other.psnr:.2f} dB at no more FLOPs"
                )
        return None
