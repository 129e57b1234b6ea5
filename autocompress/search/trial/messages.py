"""What is said of one trial: the job that a backend is given, and the messages that come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autocompress.search.space.search_space import Candidate


@dataclass(frozen=True)
class Job:
    """A candidate to work on; `folder` is for its student, `state_file` holds what an earlier attempt came to."""

    number: int
    candidate: Candidate
    folder: Path
    state_file: Path


@dataclass(frozen=True)
class StepDone:
    """So many training steps are done. Told now and then, for people."""

    number: int
    step: int


@dataclass(frozen=True)
class RungReached:
    """The PSNR-Y in dB after so many steps; 0 is before training. The trial waits here to be resumed or stopped."""

    number: int
    step: int
    psnr: float


@dataclass(frozen=True)
class Finished:
    """The student is written, with these mean scores; `seconds` by part of the work."""

    number: int
    metrics: dict[str, float]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Failed:
    """There will be no student, for this reason; `again` where another attempt may have better luck.

    `ends_search` where no trial would have better luck, before somebody has mended something.
    """

    number: int
    reason: str
    again: bool = False
    ends_search: bool = False


Message = StepDone | RungReached | Finished | Failed

# The work on a job: its messages in order, the last one Finished or Failed. To take the next message is to go on with
# the work; to stop a trial at a rung is to close the iterator.
Work = Callable[[Job], Iterator[Message]]
