"""What a call of the command line gives, and what is said where it is refused."""

from collections.abc import Callable
from typing import NamedTuple


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Ended]


def assert_refused(ended: Ended, *parts: str) -> None:
    """One line with all of these, and exit code 2."""
    assert ended.code == 2
    assert ended.out == ""
    lines = [line for line in ended.err.splitlines() if not line.startswith("... ")]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0]
