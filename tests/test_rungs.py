"""The front and the rule by which trials end before training, against going through all pairs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from autocompress.search.hypervolume import hypervolume
from autocompress.search.rungs import Point, Rungs, front

# Few different values, so that ties are common.
clouds = st.lists(st.tuples(st.integers(20, 26), st.integers(1, 7)), max_size=25).map(
    lambda pairs: [Point(trial, float(psnr), flops) for trial, (psnr, flops) in enumerate(pairs)]
)


def better(a: Point, b: Point) -> bool:
    """At least as good in both, and better in one."""
    return a.psnr >= b.psnr and a.flops <= b.flops and (a.psnr, a.flops) != (b.psnr, b.flops)


@given(clouds)
def test_the_front_is_what_none_dominates(points: list[Point]) -> None:
    expected = {(p.psnr, p.flops) for p in points if not any(better(other, p) for other in points)}
    found = front(points)
    assert {(p.psnr, p.flops) for p in found} == expected
    assert len(found) == len(expected)  # of equal ones, one
    assert [p.flops for p in found] == sorted(p.flops for p in found)
    for point in found:
        assert point.trial == min(p.trial for p in points if (p.psnr, p.flops) == (point.psnr, point.flops))


@given(clouds)
def test_dominance(points: list[Point]) -> None:
    for a in points:
        for b in points:
            assert a.dominates(b) == better(a, b)


@given(clouds)
def test_a_trial_stops_at_a_rung_where_another_dominates_it(points: list[Point]) -> None:
    rungs = Rungs()
    for point in points:
        rungs.record(100, point)
    for point in points:
        rivals = [p for p in points if p.flops <= point.flops and p.psnr >= point.psnr]
        clear = [p for p in rivals if p.flops < point.flops or p.psnr > point.psnr]
        assert (rungs.stops(100, point) is not None) == bool(clear)
        assert rungs.stops(33, point) is None


def test_the_best_is_never_stopped_and_the_reason_names_who_is_better() -> None:
    rungs = Rungs()
    small, large, worse = Point(0, 34.0, 10), Point(1, 36.0, 30), Point(2, 33.9, 20)
    for rung in (0, 33):
        for point in (small, large, worse):
            rungs.record(rung, point)
    assert rungs.stops(0, small) is None
    assert rungs.stops(0, large) is None
    assert rungs.stops(0, worse) == "before training it has 33.90 dB, and trial 0 has 34.00 dB at no more FLOPs"
    assert rungs.stops(33, worse) == "after 33 steps it has 33.90 dB, and trial 0 has 34.00 dB at no more FLOPs"


def test_a_trial_does_not_stop_itself() -> None:
    rungs = Rungs()
    rungs.record(0, Point(3, 30.0, 5))
    assert rungs.stops(0, Point(3, 29.0, 5)) is None


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(20, 45)), max_size=12))
def test_the_hypervolume_is_the_area_that_is_dominated(values: list[tuple[int, int]]) -> None:
    points = [Point(number, psnr, flops) for number, (flops, psnr) in enumerate(values)]
    inside = np.array([(math.log10(flops), -psnr) for flops, psnr in values if flops < 800 and psnr > 30])
    expected = compute_hypervolume(inside, np.array([math.log10(800), -30])) if len(inside) else 0.0
    assert hypervolume(points, 800, 30) == pytest.approx(expected, abs=1e-9)
