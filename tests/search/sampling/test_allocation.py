"""Which student trains on next, on made-up histories."""

from typing import Any

import pytest

from autocompress.search.pareto import ReferencePoint
from autocompress.search.run.student import Piece, Provenance, StoredStudent
from autocompress.search.sampling.allocation import (
    DECAY,
    FITS,
    FROM_RUNGS,
    LEAST_GAIN,
    UNKNOWN_GAIN,
    Limits,
    Plan,
    expected_gain,
    next_piece,
)

CORNER = ReferencePoint(100e9, 30.0)
NO_LIMITS = Limits()


def student(
    trial: int, flops: float, psnr: float, *gains: float, rung: float = 0.3, pace: float = 0.1
) -> StoredStudent:
    """One of 100 steps; it gained `rung` dB between its rungs, and then so much in each piece. `pace` is s a step."""
    pieces, now = [], psnr
    for ordinal, gain in enumerate(gains):
        steps = 200 * 2**ordinal
        after = now + gain
        pieces.append(
            Piece(steps=steps, seconds=pace * steps, psnr_y=after, kept=gain > 0, learning_rate=4e-3, ended=0.0)
        )
        now = max(now, after)
    provenance = Provenance(
        scores={0: psnr - 4, 11: psnr - 0.1 - rung, 33: psnr - 0.1},
        seconds={"training": 100 * pace},
        metrics_of_search={"psnr_y": psnr},
        refinements=tuple(pieces),
    )
    metrics = {"psnr_y": now}
    return StoredStudent("edsr", {}, 2, int(flops), 1000, metrics, provenance, trial=trial)


def plan(students: list[StoredStudent], limits: Limits = NO_LIMITS, **more: Any) -> Plan | None:
    own_steps = {each.trial: 100 for each in students}
    return next_piece(students, own_steps, CORNER, limits, more.pop("begun", {}), **more)


def chosen(students: list[StoredStudent], limits: Limits = NO_LIMITS, **more: Any) -> int | None:
    found = plan(students, limits, **more)
    return None if found is None else found.trial


def test_the_one_with_the_larger_gain_a_second_is_next() -> None:
    slow_but_large, fast = student(0, 5e9, 34.0, rung=0.4, pace=0.8), student(1, 10e9, 34.5, rung=0.3, pace=0.1)
    assert chosen([slow_but_large, fast]) == 1
    assert chosen([slow_but_large, student(1, 10e9, 34.5, rung=0.3, pace=2.0)]) == 0


def test_the_same_gain_is_worth_more_where_the_front_is_steep() -> None:
    """A cheap student's gain counts up to the next student, and so does a dear one's, which has less room."""
    assert chosen([student(0, 1e9, 33.0), student(1, 10e9, 34.0), student(2, 12e9, 34.1)]) == 0
    close = [student(0, 9.9e9, 33.9), student(1, 10e9, 34.0), student(2, 99e9, 35.0)]
    assert chosen(close) == 1


def test_an_overtaken_student_gets_nothing() -> None:
    front, overtaken = student(0, 5e9, 34.0, rung=0.01), student(1, 10e9, 33.9, rung=2.0)
    assert chosen([front, overtaken]) == 0
    assert chosen([front, overtaken], excluded={0}) is None


def test_gains_shrink_and_are_learnt() -> None:
    first = expected_gain(student(0, 1e9, 33.0, rung=0.2))
    assert first == pytest.approx(FROM_RUNGS * 0.2)
    assert expected_gain(student(0, 1e9, 33.0, first, rung=0.2)) == pytest.approx(first * DECAY)
    assert expected_gain(student(0, 1e9, 33.0, 3 * first, rung=0.2)) == pytest.approx(2 * first * DECAY)
    assert expected_gain(student(0, 1e9, 33.0, -0.1, -0.1, -0.1, rung=0.0)) == LEAST_GAIN
    unknown = StoredStudent("edsr", {}, 2, 1, 1, {"psnr_y": 33.0}, Provenance())
    assert expected_gain(unknown) == UNKNOWN_GAIN


def test_who_gained_nothing_waits() -> None:
    disappointing, hopeful = student(0, 1e9, 33.0, 0.0, 0.0), student(1, 2e9, 33.5, 0.1, 0.08)
    assert chosen([disappointing, hopeful]) == 1


def test_pieces_double() -> None:
    for pieces, steps in enumerate((200, 400, 800)):
        found = plan([student(0, 1e9, 33.0, *[0.1] * pieces)])
        assert found is not None
        assert found.steps == steps
        assert found.seconds == pytest.approx(0.1 * steps)


@pytest.mark.parametrize(
    ("limit", "pieces", "steps"),
    [(30, 0, 30), (599, 0, 599), (600, 0, 200), (600, 1, 400), (600, 2, 0), (10_000, 3, 1600)],
)
def test_steps_are_used_up_without_a_short_last_piece(limit: int, pieces: int, steps: int) -> None:
    found = plan([student(0, 1e9, 33.0, *[0.1] * pieces)], Limits(steps=limit))
    assert (0 if found is None else found.steps) == steps


def test_a_piece_fits_into_the_time_that_is_left() -> None:
    one = [student(0, 1e9, 33.0)]  # 20 s for 200 steps
    for seconds, steps in ((60.0, 200), (16.0, int(160 * FITS)), (8.0, None)):
        found = plan(one, Limits(seconds=seconds))
        assert (None if found is None else found.steps) == steps
    assert chosen([*one, student(1, 0.5e9, 32.0, rung=0.01, pace=0.01)], Limits(seconds=8.0)) == 1


def test_what_was_begun_comes_first_and_keeps_its_length() -> None:
    students = [student(0, 1e9, 33.0, rung=3.0), student(1, 10e9, 34.0, rung=0.01)]
    found = plan(students, Limits(seconds=1.0), begun={1: 160})
    assert found is not None
    assert (found.trial, found.steps) == (1, 160)


def test_where_nothing_was_timed_flops_say_what_it_takes() -> None:
    cheap, dear = student(0, 1e9, 33.0, pace=0.0), student(1, 50e9, 35.0, pace=0.0)
    assert chosen([cheap, dear]) == 0
    found = plan([cheap, student(1, 50e9, 35.0, pace=0.5)], excluded={1})
    assert found is not None
    assert found.seconds == pytest.approx(0.01 * 200)


def test_a_front_below_the_corner_is_refined_too() -> None:
    assert chosen([student(0, 1e9, 20.0, rung=0.1), student(1, 2e9, 21.0, rung=1.0)]) == 1
