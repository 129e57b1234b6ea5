"""What an attempt at a trial tells of a part of its work."""

import time
from collections.abc import Generator
from typing import Any

from autocompress.search.trial.attempt import STEP_EVERY, Attempt
from autocompress.search.trial.messages import Part, PartDone


def work(pauses: list[float]) -> Generator[float, None, str]:
    for number, pause in enumerate(pauses, 1):
        time.sleep(pause)
        yield number / len(pauses)
    return "done"


def told(pauses: list[float]) -> tuple[list[PartDone], str]:
    context: Any = None
    shown, messages = Attempt(3, context).shown(Part.MAKING, work(pauses)), []
    while True:
        try:
            messages.append(next(shown))
        except StopIteration as end:
            return messages, end.value


def test_a_quick_part_tells_that_it_has_begun() -> None:
    assert told([0.0] * 4) == ([PartDone(3, Part.MAKING, 0.0)], "done")


def test_a_slow_part_tells_its_share_now_and_then() -> None:
    messages, result = told([0.0, STEP_EVERY + 0.01, 0.0, 0.0])
    assert messages == [PartDone(3, Part.MAKING, 0.0), PartDone(3, Part.MAKING, 0.5)]
    assert result == "done"
