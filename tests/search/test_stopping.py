"""The rules by which trials end at a rung, against going through all pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocompress.search.pareto import Point, ranked
from autocompress.search.stopping import DominanceRule, MOASHARule, NoStopping

# Few different values, so that ties are common.
clouds = st.lists(st.tuples(st.integers(20, 26), st.integers(1, 7)), max_size=25).map(
    lambda pairs: [Point(trial, float(psnr), flops) for trial, (psnr, flops) in enumerate(pairs)]
)


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
    assert rule.stops(0, worse) == "33.90 dB before training; trial 0 has 34.00 dB at no more cost"
    assert rule.stops(33, worse) == "33.90 dB after 33 steps; trial 0 has 34.00 dB at no more cost"


def test_a_trial_does_not_stop_itself() -> None:
    rule = DominanceRule()
    rule.record(0, Point(3, 30.0, 5))
    assert rule.stops(0, Point(3, 29.0, 5)) is None


# --- MO-ASHA ---


@given(clouds, st.integers(2, 4), st.sampled_from([0, 8]))
def test_one_in_eta_goes_on(points: list[Point], eta: int, first: int) -> None:
    rule = MOASHARule(eta, first)
    for count, point in enumerate(points, start=1):
        rule.record(33, point)
        so_far = points[:count]
        ahead = ranked(so_far).index(point)
        assert (rule.stops(33, point) is None) == (count < eta or count <= first or ahead < count // eta)
        assert rule.stops(100, point) is None


def test_moasha_says_why_and_forgets_what_failed() -> None:
    rule = MOASHARule(2)
    good, bad = Point(0, 34.0, 10), Point(1, 33.0, 20)
    rule.record(100, good)
    assert rule.stops(100, good) is None
    rule.record(100, bad)
    assert rule.stops(100, bad) == "33.00 dB after 100 steps, 2nd of 2 by PSNR for its cost; the better half goes on"
    rule.forget(0)
    assert rule.stops(100, bad) is None


@pytest.mark.parametrize(
    ("eta", "count", "words"),
    [
        (2, 3, "3rd of 3 by PSNR for its cost; the better half goes on"),
        (3, 4, "4th of 4 by PSNR for its cost; the best third goes on"),
        (4, 11, "11th of 11 by PSNR for its cost; the best 1 in 4 go on"),
        (2, 21, "21st of 21 by PSNR for its cost; the better half goes on"),
        (2, 112, "112th of 112 by PSNR for its cost; the better half goes on"),
    ],
)
def test_a_rank_is_said_in_words(eta: int, count: int, words: str) -> None:
    rule = MOASHARule(eta)
    points = [Point(number, 40.0 - number / 10, 10 + number) for number in range(count)]
    for point in points:
        rule.record(0, point)
    assert rule.stops(0, points[-1]) == f"{points[-1].psnr:.2f} dB before training, {words}"


def test_moasha_stops_only_where_it_may() -> None:
    rule = MOASHARule(2, at=(100,))
    for rung in (33, 100):
        rule.record(rung, Point(0, 34.0, 10))
        assert (rule.stops(rung, Point(1, 33.0, 20)) is None) == (rung == 33)


def test_without_a_rule_every_trial_goes_on() -> None:
    rule = NoStopping()
    for trial, psnr in enumerate((34.0, 33.0)):
        rule.record(100, Point(trial, psnr, 10))
    assert rule.stops(100, Point(1, 33.0, 10)) is None
    assert [point.trial for point in rule.others(100, Point(1, 33.0, 10))] == [0]
