"""Learning curves: at which steps, at what cost, and how they read."""

import pytest

from autocompress.distill.learning_curve import LearningCurve, planned, summary


def test_points_double_up_to_the_first_tenth() -> None:
    assert sorted(planned(10)) == list(range(11))
    assert sorted(planned(3000)) == [0, 100, 200, *range(300, 3001, 300)]
    assert sorted(planned(1000)) == list(range(0, 1001, 100))
    long = sorted(planned(100_000))
    assert long[:9] == [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000]
    assert len(long) == 8 + 10


@pytest.mark.parametrize(("scoring", "least"), [(0.1, 17), (20.0, 8), (200.0, 3), (5000.0, 2)])
def test_scoring_takes_a_bounded_share_of_the_time(scoring: float, least: int) -> None:
    now, spent, seen = 0.0, 0.0, list[int]()

    def score(step: int) -> float:
        nonlocal now, spent
        now += scoring
        spent += scoring if 0 < step < 100_000 else 0.0
        return 30 + step / 1e6

    curve = LearningCurve(100_000, score, lambda points: seen.append(len(points)), share=0.03, clock=lambda: now)
    for step in range(100_001):
        curve.reach(step)
        now += 0.1
    assert spent <= 0.03 * now
    assert len(curve.points) >= least
    assert curve.points[0] == (0, 30.0)
    assert curve.points[-1] == (100_000, 30.1)
    assert seen == list(range(1, len(curve.points) + 1))


def test_a_known_point_is_not_scored_again() -> None:
    scored = list[int]()
    curve = LearningCurve(10, lambda step: float(scored.append(step) or 1), share=1e9)
    curve.points = [(0, 30.0), (1, 31.0)]
    for step in range(1, 4):
        curve.reach(step)
    assert scored == [2, 3]


def test_a_summary_says_what_is_kept() -> None:
    assert summary([(0, 30.0), (5, 33.5), (10, 37.0)]) == (
        "PSNR-Y 30.00 dB ▁▅█ 37.00 dB, after 0 to 10 steps; the last is kept"
    )
    assert summary([(0, 30.0), (5, 37.0), (10, 36.5)]).endswith("(the highest was 37.00 dB after 5)")
    assert "30.00 dB ▁ 30.00 dB" in summary([(0, 30.0)])
