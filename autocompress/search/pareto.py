"""How good a front is, as one number."""

from __future__ import annotations

import math
from collections.abc import Iterable

from autocompress.search.stopping import Point, front


def hypervolume(points: Iterable[Point], cost: float, psnr: float) -> float:
    """The area (log10 cost, dB) between the points' front and a reference: the teacher's cost and bicubic's PSNR-Y.

    Points that are not better than the reference in both add nothing.
    """
    best = front([point for point in points if point.cost < cost and point.psnr > psnr])
    total, floor = 0.0, psnr
    for point in best:  # by cost, so each adds a strip on top of those before it
        total += (point.psnr - floor) * (math.log10(cost) - math.log10(point.cost))
        floor = point.psnr
    return total
