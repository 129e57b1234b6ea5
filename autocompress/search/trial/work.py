"""The work on one trial, and what is told of it: wherever it is done, whoever decides."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from autocompress.errors import AutocompressError, DiskFull
from autocompress.search.space.search_space import Candidate
from autocompress.search.trial.context import TrialContext
from autocompress.search.trial.trial import Trial

# what ends a trial and not the search; PyTorch raises RuntimeError for a singular matrix
FAILURES = (AutocompressError, RuntimeError, MemoryError)
# what PyTorch says where memory is short and its RuntimeError has no type of its own: of the CPU (of Windows, and of
# C++ everywhere), and of CUDA and its libraries
NO_MEMORY = ("can't allocate memory", "not enough memory", "bad_alloc", "CUDA error: out of memory", "ALLOC_FAILED")
LONG = 200  # characters of a reason: PyTorch adds pages of advice


@dataclass(frozen=True)
class Job:
    """A candidate to work on; `folder` is for its student, `state_file` holds what an earlier attempt came to."""

    number: int
    candidate: Candidate
    folder: Path
    state_file: Path


@dataclass(frozen=True)
class Step:
    """So many steps are done."""

    number: int
    step: int


@dataclass(frozen=True)
class RungReached:
    """The PSNR-Y in dB after so many steps; 0 is before training. Whoever hears it says whether to go on."""

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


Report = Step | RungReached | Finished | Failed
Tell = Callable[[Report], bool]  # whether to go on


class Source(Protocol):
    """Who has the work and decides: the driver."""

    def next_job(self) -> Job | None:
        """Work to begin now; None while there is none."""

    def answer(self, report: Report) -> bool:
        """Hear what became of a job, and say whether it goes on."""

    def check(self) -> None:
        """Raise what ends the search, if it is time for it; to be called at least every second."""


class Backend(Protocol):
    """Where the work is done."""

    def run(self, source: Source) -> None:
        """Work on all that the source has, until it has none and nothing is in flight.

        Whatever the source raises ends the work and goes through.
        """


class SerialBackend:
    """The engine that works in this process, on one job after the other."""

    def __init__(self, inputs: TrialContext) -> None:
        self._inputs = inputs

    def run(self, source: Source) -> None:
        """See `Engine.run`."""
        while (job := source.next_job()) is not None:
            work(job, self._inputs, source.answer)


def work(job: Job, inputs: TrialContext, tell: Tell) -> None:
    """Make, score and train a job's student, and tell how it goes; the end is told too, unless a rung stopped it."""
    number = job.number
    try:
        trial = Trial(job.candidate, inputs, job.state_file)
        if trial.train(lambda step: tell(Step(number, step)), lambda step, psnr: tell(RungReached(number, step, psnr))):
            metrics = trial.finish(job.folder)
            tell(Finished(number, metrics, trial.seconds))
    except DiskFull:  # no other trial would fare better
        raise
    except FAILURES as error:
        if _out_of_memory(error):  # whoever took it may have given it back
            tell(Failed(number, f"out of memory: {textwrap.shorten(str(error) or repr(error), LONG)}", again=True))
        else:
            tell(Failed(number, str(error)))


def _out_of_memory(error: BaseException) -> bool:
    """Whether it says that there is too little memory, here or on the GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in NO_MEMORY)
