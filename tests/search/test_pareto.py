"""Fronts, ranks and the hypervolume, against going through all pairs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from autocompress.search.pareto import Point, ReferencePoint, front, hypervolume, ranked

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


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(20, 45)), max_size=12))
def test_the_hypervolume_is_the_area_that_is_dominated(values: list[tuple[int, int]]) -> None:
    points = [Point(number, psnr, flops) for number, (flops, psnr) in enumerate(values)]
    inside = np.array([(math.log10(flops), -psnr) for flops, psnr in values if flops < 800 and psnr > 30])
    expected = compute_hypervolume(inside, np.array([math.log10(800), -30])) if len(inside) else 0.0
    assert hypervolume(points, ReferencePoint(800, 30)) == pytest.approx(expected, abs=1e-9)


def rank_key(point: Point, points: list[Point]) -> tuple[int, float, int]:
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
    assert ranked(points) == sorted(points, key=lambda point: rank_key(point, points))
