"""Intervals of differences, against plain references and on made-up scores."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from autocompress.evaluation.intervals import LEVEL, Interval, SeedSpread, _quantile, paired

NO_SPREAD = SeedSpread(0.0, 12)
CASES = 2000


def by_image(scores: NDArray[np.float64]) -> dict[str, float]:
    return {f"{index}.png": float(score) for index, score in enumerate(scores)}


def made_up(images: int, over_images: float, over_seeds: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """PSNR of two students (cases, images) on images of 25 to 40 dB, of which the second is 0.1 dB better in truth."""
    rng = np.random.default_rng(0)
    hardness = rng.uniform(25, 40, (CASES, images))
    a, b = (
        hardness + rng.normal(0, over_images / np.sqrt(2), hardness.shape) + rng.normal(0, over_seeds, (CASES, 1))
        for _ in range(2)
    )
    return a, b + 0.1


def coverage(images: int, over_images: float, over_seeds: float, spread: SeedSpread) -> float:
    """How often the true difference is in the interval."""
    cases = zip(*made_up(images, over_images, over_seeds), strict=True)
    found = [paired(by_image(a), by_image(b), spread) for a, b in cases]
    return float(np.mean([abs(one.difference + 0.1) <= one.plus_minus for one in found if one is not None]))


@pytest.mark.parametrize("images", [2, 10, *(pytest.param(count, marks=pytest.mark.slow) for count in (4, 100))])
@pytest.mark.parametrize(("over_images", "over_seeds"), [(0.1, 0.0), (0.1, 0.02), (0.02, 0.05)])
def test_an_interval_holds_the_truth_in_95_of_100_cases(images: int, over_images: float, over_seeds: float) -> None:
    held = coverage(images, over_images, over_seeds, SeedSpread(over_seeds, 10_000))
    assert 0.94 <= held <= (0.96 if over_seeds == 0 or images >= 10 else 0.99)


def test_percentiles_of_the_bootstrap_are_too_narrow_for_four_images() -> None:
    """Why they are not taken: of all 256 draws of four images."""
    a, b = made_up(4, 0.1, 0.0)
    draws = np.array(list(itertools.product(range(4), repeat=4)))
    low, high = np.quantile((a - b)[:, draws].mean(axis=2), [0.025, 0.975], axis=1)
    assert np.mean((low <= -0.1) & (high >= -0.1)) < 0.85


def test_the_error_over_images_is_that_of_the_paired_bootstrap() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(30, 3, 10), rng.normal(30, 3, 10)
    drawn = stats.bootstrap((a, b), lambda a, b, axis: (a - b).mean(axis), paired=True, n_resamples=50_000, rng=rng)
    interval = paired(by_image(a), by_image(b), NO_SPREAD)
    assert interval is not None
    error = interval.plus_minus / stats.t.ppf(0.975, 9)
    assert error == pytest.approx(drawn.standard_error * np.sqrt(10 / 9), rel=0.02)


def test_without_a_spread_over_seeds_it_is_the_paired_t_interval() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(30, 3, 7), rng.normal(30, 3, 7)
    interval, reference = paired(by_image(a), by_image(b), NO_SPREAD), stats.ttest_rel(a, b).confidence_interval(0.95)
    assert interval is not None
    low, high = interval.difference - interval.plus_minus, interval.difference + interval.plus_minus
    assert (low, high) == pytest.approx((reference.low, reference.high))


def test_what_both_find_hard_does_not_count() -> None:
    a = {"easy": 45.0, "hard": 20.0, "middle": 30.0}
    b = {image: psnr - 0.1 for image, psnr in a.items()}
    interval = paired(a, b, NO_SPREAD)
    assert interval is not None
    assert (interval.difference, interval.plus_minus) == pytest.approx((0.1, 0.0), abs=1e-9)
    assert not interval.has_zero


def test_one_image_gives_no_interval() -> None:
    assert paired({"a": 30.0}, {"a": 31.0}, SeedSpread(0.02, 12)) is None


def test_scores_on_other_images_are_not_compared() -> None:
    with pytest.raises(KeyError):
        paired({"a": 30.0, "b": 30.0}, {"a": 31.0, "b": 30.0, "c": 29.0}, NO_SPREAD)


def test_two_that_are_equal_on_each_image_cannot_be_told_apart() -> None:
    scores = {"a": 30.0, "b": 31.0}
    assert paired(scores, scores, NO_SPREAD) == Interval(0.0, 0.0)
    assert Interval(0.0, 0.0).has_zero


def test_the_spread_over_seeds_is_pooled_over_students() -> None:
    spread = SeedSpread.pooled([[30.0, 30.2], [35.0, 35.1, 35.2], [40.0]])
    assert spread is not None
    assert spread.degrees == 3
    assert spread.sd == pytest.approx(np.sqrt((0.02 + 0.02) / 3))
    assert SeedSpread.pooled([[30.0], [31.0]]) is None


def test_a_pooled_spread_is_right_in_the_mean() -> None:
    rng = np.random.default_rng(3)
    drawn = [SeedSpread.pooled(rng.normal(30, 0.05, (5, 3)).tolist()) for _ in range(500)]
    assert np.mean([spread.sd**2 for spread in drawn if spread is not None]) == pytest.approx(0.05**2, rel=0.05)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 12, 99, 10_001])
def test_quantiles_are_students(degrees: int) -> None:
    assert _quantile(degrees) == pytest.approx(stats.t.ppf((1 + LEVEL) / 2, degrees), rel=1e-9)
