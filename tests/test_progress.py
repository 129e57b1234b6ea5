"""How far a work is, as its user is told."""

import time

import pytest

from autocompress.compute import probing
from autocompress.progress import one_by_one, tell_if_long, tell_tenths, watched


@pytest.mark.parametrize(("total", "told"), [(600, 10), (10, 10), (4, 4), (1, 1)])
def test_tenths_are_told_once_each(total: int, told: int) -> None:
    said: list[str] = []
    tell = tell_tenths(said.append)
    for done in range(1, total + 1):
        tell(done, total)
    assert (len(said), said[-1]) == (told, "100%")
    said.clear()
    quick = tell_tenths(said.append, after=60)
    quick(total, total)
    assert said == []


def test_work_is_counted_one_by_one() -> None:
    told: list[tuple[int, int]] = []
    done = one_by_one(lambda *share: told.append(share), 2)
    done("anything", 5)
    done()
    assert told == [(1, 2), (2, 2)]


def test_what_turns_out_to_be_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = [0.0], list[str]()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    report = tell_if_long(said.append, "decoding")
    for _ in watched(range(10), 10, report):
        now[0] += 1.0
    assert said == [
        "decoding: 50%",
        "decoding: 60%",
        "decoding: 70%",
        "decoding: 80%",
        "decoding: 90%",
        "decoding: 100%",
    ]


@pytest.mark.slow  # seconds, as processors without bf16 take them
def test_the_choice_of_the_arithmetic_tells_each_step() -> None:
    told: list[tuple[int, int]] = []
    probing.probe(lambda *share: told.append(share))
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    assert len(told) <= told[0][1]
