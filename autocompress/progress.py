"""How far a work is: functions that are told how much of it is done, and tell the user its share."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Generic, TypeVar

QUICK = 5.0  # seconds: work that takes longer says how far it is

WHOLE = 1000  # parts of a work that tells its share

Item = TypeVar("Item")
Result = TypeVar("Result")
OnDone = Callable[[int, int], None]  # told how much is done, of how much


def untold(done: int, total: int) -> None:
    """An `OnDone` that tells nobody."""


def one_by_one(report: OnDone, total: int) -> Callable[..., None]:
    """A function to be called, with anything, whenever one more of so many is done."""
    done = itertools.count(1)
    return lambda *_: report(next(done), total)


def several(done: Callable[..., object], count: int) -> Callable[[], None]:
    """A function that counts as so many calls of another: for what takes as long as so many of the others."""

    def work() -> None:
        for _ in range(count):
            done()

    return work


def tell_tenths(tell: Callable[[str], object], after: float = 0.0) -> OnDone:
    """A function of how much of a work is done, and of how much, which tells the share at each tenth, such as "30%".

    It tells nothing in the first seconds, `after` in number: what is over by then needs no progress.
    """
    start = time.monotonic()

    def report(done: int, total: int) -> None:
        if done * 10 // total > (done - 1) * 10 // total and time.monotonic() - start >= after:
            tell(f"{done / total:.0%}")

    return report


def tell_if_long(tell: Callable[[str], object], what: str) -> OnDone:
    """As `tell_tenths`, for work that may be quick: after QUICK seconds it tells what is done, and its share."""
    return tell_tenths(lambda share: tell(f"{what}: {share}"), QUICK)


class Shares(Generic[Result]):
    """The shares of a work that are done, from 0 to 1, as it yields them; when it has ended there is its `result`."""

    result: Result

    def __init__(self, work: Generator[float, None, Result]) -> None:
        self._work = work

    def __iter__(self) -> Iterator[float]:
        self.result = yield from self._work


def finished(work: Generator[float, None, Result], report: OnDone = untold) -> Result:
    """The result of a work that yields now and then which share of it is done; `report` is told that."""
    shares = Shares(work)
    for share in shares:
        report(round(share * WHOLE), WHOLE)
    return shares.result


def watched(items: Iterable[Item], total: int, report: OnDone) -> Iterator[Item]:
    """The items; `report` is told after each one how many are done, of how many."""
    for done, item in enumerate(items, 1):
        yield item
        report(done, total)
