"""The job that a backend is given for a trial, and the messages that come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from autocompress.search.run.student import StudentRecord
from autocompress.search.space.search_space import Candidate


@dataclass(frozen=True)
class Job:
    """A candidate to work on: `folder` is for its student, `state_file` may hold the state of an earlier attempt."""

    number: int
    candidate: Candidate
    folder: Path
    state_file: Path


@dataclass(frozen=True)
class PieceJob(Job):
    """A piece of the refinement of a trial's student: `steps` more, from its `weights`, a safetensors file's content.

    The candidate's recipe is that of the student's own training. The state is written, and a score told as at a rung,
    every `save_every` seconds.
    """

    student: StudentRecord
    weights: bytes
    steps: int
    save_every: float

    @property
    def ordinal(self) -> int:
        """How many pieces the student has had before."""
        return len(self.student.provenance.refinements)


class Part(StrEnum):
    """What is done for a student beside its training, in words for people."""

    MAKING = "making the student"
    SCORING = "scoring on all validation images"


@dataclass(frozen=True)
class PartDone:
    """So much of a part of the work is done, from 0, when it begins, to 1. Sent now and then, to be shown."""

    number: int
    part: Part
    share: float


@dataclass(frozen=True)
class StepDone:
    """So many training steps are done. Sent now and then, to be shown."""

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
    """The trial has failed for this reason; `again` if another attempt may succeed.

    `ends_search` if every other trial would fail too until somebody has repaired the cause.
    """

    number: int
    reason: str
    again: bool = False
    ends_search: bool = False


Shown = PartDone | StepDone  # what a trial does not wait for
Message = Shown | RungReached | Finished | Failed

# The work on a job: yields its messages in order, the last one Finished or Failed. Taking the next one continues the
# work; closing the iterator at a rung stops the trial.
Work = Callable[[Job], Iterator[Message]]
