"""How far a work is, as its user is told."""

import pytest

from autocompress.progress import one_by_one, tell_tenths


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
