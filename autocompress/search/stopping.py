"""Which trials go on: judged at each rung against all trials that got as far, in the sense of the front."""

from __future__ import annotations

from collections.abc import Container

from autocompress.search.pareto import Point, ranked


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
