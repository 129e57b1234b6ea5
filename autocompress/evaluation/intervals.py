"""How far the mean PSNR of two students differs beyond noise: over validation images, and over seeds of a training.

Nothing here imports NumPy or SciPy, which take longer than all else of showing a front.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.95
HALVINGS = 60  # of what is known of an angle: then a float's digits are all used


@dataclass(frozen=True)
class SeedSpread:
    """How far one student's mean PSNR, in dB, spreads when it is trained with other seeds.

    `sd` is a standard deviation, estimated with so many `degrees` of freedom.
    """

    sd: float
    degrees: int

    @classmethod
    def pooled(cls, trainings: Iterable[Sequence[float]]) -> SeedSpread | None:
        """From the mean PSNR of repeated trainings, a sequence for each student; None if none was repeated.

        Students may differ in their means; that they spread alike is assumed (benchmarks/seeds.py).
        """
        repeated = [values for values in trainings if len(values) > 1]
        degrees = sum(len(values) - 1 for values in repeated)
        if degrees == 0:
            return None
        squares = sum(statistics.variance(values) * (len(values) - 1) for values in repeated)
        return cls(math.sqrt(squares / degrees), degrees)


@dataclass(frozen=True)
class Interval:
    """A difference of mean PSNR in dB: in LEVEL of all cases the true one is within `plus_minus` of `difference`.

    The true one is the mean over all images like the validation images and over all seeds.
    """

    difference: float
    plus_minus: float

    @property
    def has_zero(self) -> bool:
        """Whether the two cannot be told apart."""
        return abs(self.difference) <= self.plus_minus


def paired(a: Mapping[str, float], b: Mapping[str, float], seeds: SeedSpread) -> Interval | None:
    """How far `a` is above `b`, given the PSNR of both in dB by image; None if there are fewer than two images.

    Two half-widths are added as squares, each a standard error times Student's quantile: so the interval is never too
    narrow, and holds the truth in up to 97 % of cases where there are few images.

    The standard error over images is the paired bootstrap's: the same images are drawn for both, so that only how their
    difference varies counts, not that some images are harder. Of a mean it is known in closed form (Efron and
    Tibshirani 1993, chapter 5), so nothing is drawn; times sqrt(n / (n - 1)) it is without bias for n images. (The
    bootstrap's own percentiles are right for many images; over four, only 4 of 5 such intervals hold the truth.)
    That over seeds is for one training of each. KeyError if the images are not the same.
    """
    differences = [a[image] - b[image] for image in (a if len(a) >= len(b) else b)]
    count = len(differences)
    if count < 2:
        return None
    over_images = _quantile(count - 1) * statistics.stdev(differences) / math.sqrt(count)
    over_seeds = _quantile(seeds.degrees) * math.sqrt(2) * seeds.sd
    return Interval(statistics.fmean(differences), math.hypot(over_images, over_seeds))


@functools.cache
def _quantile(degrees: int) -> float:
    """Student's, for both sides of an interval: within plus and minus it is LEVEL of the distribution."""
    low, high = 0.0, math.pi / 2
    for _ in range(HALVINGS):
        angle = (low + high) / 2
        low, high = (angle, high) if _share_within(angle, degrees) < LEVEL else (low, angle)
    return math.sqrt(degrees) * math.tan(low)


def _share_within(angle: float, degrees: int) -> float:
    """The share of Student's distribution within plus and minus sqrt(degrees) * tan(angle).

    For whole degrees it is a finite sum: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4.
    """
    odd = degrees % 2
    total, term = 0.0, math.cos(angle) if odd else 1.0
    for index in range(2 + odd, degrees + 1, 2):
        total += term
        term *= (index - 1) / index * math.cos(angle) ** 2
    share = math.sin(angle) * total
    return 2 / math.pi * (angle + share) if odd else share
