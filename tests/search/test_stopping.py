"""The front and the rule by which trials end before training, against going through all pairs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from autocompress.search.pareto import Point, ReferencePoint, front, hypervolume, ranked
from autocompress.search.stopping import DominanceRule, MOASHARule

# Few different values, so that ties are common.
clouds = st.lists(st.tuples(st.integers(20, 26), st.integers(1, 7)), max_size=25).map(
    lambda pairs: [Point(trial, float(psnr), flops) for trial, (psnr, flops) in enumerate(pairs)]
)


def better(a: Point, b: Point) -> bool:
    """At least as good in both, and better in one."""
    return a.psnr >= b.psnr and a.cost <= b.cost and (a.psnr, a.cost) != (b.psnr, b.cost)


@given(clouds)
def test_the_front_is_what_none_dominates(points: list[Point]) -> None:
    expected = {(p.psnr, p.cost) for p in points if not any(better(other, p) for other in points)}
    found = front(points)
    assert {(p.psnr, p.cost) for p in found} == expected
    assert len(found) == len(expected)  # of equal ones, one
    assert [p.cost for p in found] == sorted(p.cost for p in found)
    for point in found:
        assert point.trial == min(p.trial for p in points if (p.psnr, p.cost) == (point.psnr, point.cost))


@given(clouds)
def test_dominance(points: list[Point]) -> None:
    for a in points:
        for b in points:
            assert a.dominates(b) == better(a, b)


@given(clouds)
def test_a_trial_stops_at_a_rung_where_another_dominates_it(points: list[Point]) -> None:
    rule = DominanceRule()
    for point in points:
        rule.record(100, point)
    for point in points:
        rivals = [p for p in points if p.cost <= point.cost and p.psnr >= point.psnr]
        clear = [p for p in rivals if p.cost < point.cost or p.psnr > point.psnr]
        assert (rule.stops(100, point) is not None) == bool(clear)
        assert rule.stops(33, point) is None


def test_the_best_is_never_stopped_and_the_reason_names_who_is_better() -> None:
    rule = DominanceRule()
    small, large, worse = Point(0, 34.0, 10), Point(1, 36.0, 30), Point(2, 33.9, 20)
    for rung in (0, 33):
        for point in (small, large, worse):
            rule.record(rung, point)
    assert rule.stops(0, small) is None
    assert rule.stops(0, large) is None
    assert rule.stops(0, worse) == "before training it has 33.90 dB, and trial 0 has 34.00 dB at no more cost"
    assert rule.stops(33, worse) == "after 33 steps it has 33.90 dB, and trial 0 has 34.00 dB at no more cost"


def test_a_trial_does_not_stop_itself() -> None:
    rule = DominanceRule()
    rule.record(0, Point(3, 30.0, 5))
    assert rule.stops(0, Point(3, 29.0, 5)) is None


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(20, 45)), max_size=12))
def test_the_hypervolume_is_the_area_that_is_dominated(values: list[tuple[int, int]]) -> None:
    points = [Point(number, psnr, flops) for number, (flops, psnr) in enumerate(values)]
    inside = np.array([(math.log10(flops), -psnr) for flops, psnr in values if flops < 800 and psnr > 30])
    expected = compute_hypervolume(inside, np.array([math.log10(800), -30])) if len(inside) else 0.0
    assert hypervolume(points, ReferencePoint(800, 30)) == pytest.approx(expected, abs=1e-9)


# --- MO-ASHA ---


def place(point: Point, points: list[Point]) -> tuple[int, float, int]:
    """By definition: the number of fronts before its own, minus its crowding distance there, its trial."""
    depth, left = 0, points
    while any(better(other, point) for other in left):
        left = [p for p in left if any(better(other, p) for other in left)]
        depth += 1
    front_of = [p for p in left if not any(better(other, p) for other in left)]
    distance = 0.0
    for of in (lambda p: math.log10(p.cost), lambda p: p.psnr):
        # along a front both rise together; equal points lie side by side, by trial
        line = sorted(front_of, key=lambda p: (p.cost, p.trial))
        index = line.index(point)
        if index in (0, len(line) - 1):
            distance = math.inf
        elif of(line[-1]) > of(line[0]):
            distance += (of(line[index + 1]) - of(line[index - 1])) / (of(line[-1]) - of(line[0]))
    return depth, -distance, point.trial


@given(clouds)
def test_ranked_by_fronts_and_then_by_crowding(points: list[Point]) -> None:
    assert ranked(points) == sorted(points, key=lambda point: place(point, points))


@given(clouds, st.integers(2, 4), st.sampled_from([0, 8]))
def test_one_in_eta_goes_on(points: list[Point], eta: int, first: int) -> None:
    rule = MOASHARule(eta, first)
    for count, point in enumerate(points, start=1):
        rule.record(33, point)
        so_far = points[:count]
        ahead = sum(place(other, so_far) < place(point, so_far) for other in so_far)
        assert (rule.stops(33, point) is None) == (count < eta or count <= first or ahead < count // eta)
        assert rule.stops(100, point) is None


def test_halving_says_why_and_forgets_what_failed() -> None:
    rule = MOASHARule(2)
    good, bad = Point(0, 34.0, 10), Point(1, 33.0, 20)
    rule.record(100, good)
    assert rule.stops(100, good) is None
    rule.record(100, bad)
    assert rule.stops(100, bad) == "after 100 steps it has 33.00 dB, and is number 2 of 2, of which 1 in 2 goes on"
    rule.forget(0)
    assert rule.stops(100, bad) is None


def test_halving_stops_only_where_it_may() -> None:
    rule = MOASHARule(2, at=(100,))
    for rung in (33, 100):
        rule.record(rung, Point(0, 34.0, 10))
        assert (rule.stops(rung, Point(1, 33.0, 20)) is None) == (rung == 33)
