"""Which trials go on: judged at each rung against all trials that got as far, in the sense of the front."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One trial at one rung: its PSNR-Y in dB so far, and its FLOPs."""

    trial: int
    psnr: float
    flops: int

    def dominates(self, other: Point, margin: float = 0.0) -> bool:
        """No more FLOPs, and a PSNR higher by more than `margin` dB (or as high, at fewer FLOPs)."""
        if self.flops < other.flops:
            return self.psnr >= other.psnr + margin
        return self.flops == other.flops and self.psnr > other.psnr + margin


def front(points: list[Point]) -> list[Point]:
    """The points that no other dominates, by FLOPs."""
    ordered = sorted(points, key=lambda point: (point.flops, -point.psnr, point.trial))
    best: list[Point] = []
    for point in ordered:
        if not best or point.psnr > best[-1].psnr:
            best.append(point)
    return best


class Rungs:
    """The scores of all trials before training (rung 0), and the rule by which a trial ends there.

    A student's score before training ranks students as their scores after it do (benchmarks/starts.py), so
    one that another dominates there, by more than `margin` dB, would train for nothing.
    """

    def __init__(self, margin: float = 0.05) -> None:
        self._margin = margin
        self._points: list[Point] = []

    def record(self, point: Point) -> None:
        """A trial has been scored before training."""
        self._points.append(point)

    def stops(self, point: Point) -> str | None:
        """Why this trial should end here, or None when it may go on."""
        for other in self._points:
            if other.trial != point.trial and other.dominates(point, self._margin):
                return (
                    f"before training it has {point.psnr:.2f} dB, "
                    f"and trial {other.trial} has {other.psnr:.2f} dB at no more FLOPs"
                )
        return None
