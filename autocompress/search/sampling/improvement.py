"""How much a student may add to the front, when its cost is known and its PSNR is a guess."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from autocompress.search.stopping import Point, front

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """What a front is measured from: the (largest) teacher's cost, and bicubic's PSNR-Y in dB."""

    cost: float
    psnr: float


def expected_improvement(mean: Array, deviation: Array, level: Array) -> Array:
    """E[(y - level)+] of a normal y; 0 deviation is allowed. All broadcast."""
    gain = mean - level
    z = gain / np.maximum(deviation, 1e-12)
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.asarray(gain * ndtr(z) + deviation * density)


def expected_hypervolume_improvement(
    cost: Array, mean: Array, deviation: Array, points: list[Point], reference: Reference
) -> Array:
    """By how much [candidates] each is expected to enlarge the hypervolume of `points`, in log10 cost times dB.

    A candidate's cost is known and its PSNR is normal with this mean and deviation (dB). To the right of its cost
    the front is a staircase: the sum over its strips, up to the reference's cost, of width times the expectation of
    what the candidate stands above the strip's level (Emmerich et al. 2006, where one of two objectives is no guess).
    """
    best = [point for point in front(points) if point.cost < reference.cost and point.psnr > reference.psnr]
    edges = np.log10([*(point.cost for point in best), reference.cost])  # where strips end; the first has no start
    levels = np.array([reference.psnr, *(point.psnr for point in best)])
    starts = np.concatenate([[-np.inf], edges[:-1]])
    widths = np.maximum(0.0, edges - np.maximum(starts, np.log10(cost)[:, None]))
    gains = expected_improvement(mean[:, None], deviation[:, None], levels)
    return np.asarray((widths * np.maximum(gains, 0.0)).sum(axis=1))
