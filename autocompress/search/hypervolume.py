"""How good a front is, as one number."""

from __future__ import annotations

import math
from collections.abc import Iterable

from autocompress.search.rungs import Point, front


def hypervolume(points: Iterable[Point], flops: float, psnr: float) -> float:
    """The area (log10 FLOPs, dB) between the points' front and a reference: the teacher's FLOPs and bicubic's PSNR-Y.

    Points that are not better than the reference in both add nothing.
    """
    best = front([point for point in points if point.flops < flops and point.psnr > psnr])
    total, floor = 0.0, psnr
    for point in best:  # by FLOPs, so each adds a strip on top of those before it
        total += (point.psnr - floor) * (math.log10(flops) - math.log10(point.flops))
        floor = point.psnr
    return total
