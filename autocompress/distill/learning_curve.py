"""The learning curve of a training: PSNR-Y over steps, scored at a few points, at a bounded cost."""

from __future__ import annotations

import time
from collections.abc import Callable

from autocompress.units import decibels

FIRST = 100  # steps; the points from there to the first tenth double
TENTHS = 10
SCORING_SHARE = 0.03  # of the time, at most, that scores between the first and the last may take

Points = list[tuple[int, float]]
"""Steps and PSNR-Y in dB, by step."""


class LearningCurve:
    """PSNR-Y of a network before its training, at 100, 200, 400, ... steps, at each tenth of the steps, and at the end.

    `score` is called with the step at these, `points` are what it gave, and `on_points` is called with them. A point on
    the way is left out where scoring would take more than `share` of the time since this object was made; so which
    points there are depends on the machine's speed, but no score does.
    """

    def __init__(
        self,
        steps: int,
        score: Callable[[int], float],
        on_points: Callable[[Points], None] = lambda _: None,
        share: float = SCORING_SHARE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.points: Points = []
        self._score, self._on_points = score, on_points
        self._steps = steps
        self._planned = planned(steps)
        self._share, self._clock = share, clock
        self._started, self._spent, self._last = clock(), 0.0, 0.0

    def reach(self, step: int) -> None:
        """Score the network, which has trained for so many steps, if a point is due that is not known yet."""
        if step not in self._planned or step in dict(self.points):
            return
        start = self._clock()
        affordable = self._spent + self._last <= self._share * (start - self._started)
        if 0 < step < self._steps and not affordable:
            return
        self.points.append((step, self._score(step)))
        self._on_points(self.points)
        self._last = self._clock() - start
        self._spent += self._last if step else 0.0


def planned(steps: int) -> set[int]:
    """The steps at which a training of so many is scored, if the time allows."""
    tenths = {round(steps * tenth / TENTHS) for tenth in range(TENTHS + 1)}
    doubling = {FIRST << power for power in range((steps // TENTHS // FIRST).bit_length())}
    return tenths | {step for step in doubling if step < steps / TENTHS}


def summary(points: Points) -> str:
    """One line: the points as bars, the first and the last PSNR-Y, and the highest where that is not the last."""
    (first, start), (last, end) = points[0], points[-1]
    low, high = min(psnr for _, psnr in points), max(psnr for _, psnr in points)
    bars = "▁▂▃▄▅▆▇█"
    line = "".join(bars[round((psnr - low) / (high - low or 1) * (len(bars) - 1))] for _, psnr in points)
    text = f"PSNR-Y {decibels(start)} dB {line} {decibels(end)} dB, after {first} to {last} steps; the last is kept"
    if high > end:
        best = next(step for step, psnr in points if psnr == high)
        text += f" (the highest was {decibels(high)} dB after {best})"
    return text
