"""Attempt: what the work on a trial and on a piece of a refinement have in common: its times, steps and failures."""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

from autocompress.distill.training import Training
from autocompress.errors import AutocompressError, is_out_of_memory
from autocompress.evaluation.records import Scores
from autocompress.evaluation.scores import OnImage, network_upscaler
from autocompress.networks.base import SRNetwork
from autocompress.progress import Shares
from autocompress.search.trial.context import TrialContext
from autocompress.search.trial.messages import Failed, Part, PartDone, StepDone

STEP_EVERY = 0.25  # seconds between messages StepDone or PartDone: as often as a terminal draws

Result = TypeVar("Result")

# what ends a trial and not the search; PyTorch raises RuntimeError for a singular matrix
FAILURES = (AutocompressError, RuntimeError, MemoryError)
LONG = 200  # characters of a reason: PyTorch adds pages of advice


class Attempt:
    """The work on the trial of this number."""

    def __init__(self, number: int, context: TrialContext) -> None:
        self.number = number
        self.context = context
        self.seconds: dict[str, float] = {}  # by part of the work
        self.scores: dict[int, float] = {}  # PSNR-Y by step; 0 is before training

    def steps(self, training: Training, to: int, seconds: float = math.inf) -> Iterator[StepDone]:
        """Train up to a step, or for some seconds; StepDone for the first step, then every STEP_EVERY seconds.

        Raises TrainingDiverged.
        """
        begun, told = time.monotonic(), -math.inf
        with self.timed("training"):
            for step in training.steps_to(to):
                if (now := time.monotonic()) - told >= STEP_EVERY:
                    told = now
                    yield StepDone(self.number, step)
                if now - begun >= seconds:
                    return

    def shown(self, part: Part, work: Generator[float, None, Result]) -> Generator[PartDone, None, Result]:
        """The result of a part of the work; PartDone for its beginning, then every STEP_EVERY seconds."""
        told = time.monotonic()
        yield PartDone(self.number, part, 0.0)
        shares = Shares(work)
        for share in shares:
            if (now := time.monotonic()) - told >= STEP_EVERY:
                told = now
                yield PartDone(self.number, part, share)
        return shares.result

    def score(self, student: SRNetwork, step: int) -> None:
        """Note the PSNR-Y that a student has after so many steps."""
        with self.timed("scoring"):
            self.scores[step] = self.context.psnr_y(network_upscaler(student))

    def score_whole(self, student: SRNetwork, on_image: OnImage) -> Generator[PartDone, None, Scores]:
        """Score a student by all metrics on all validation images, which takes long on many; returns the scores."""
        with self.timed("scoring"):
            return (yield from self.shown(Part.SCORING, self._scored(student, on_image)))

    def _scored(self, student: SRNetwork, on_image: OnImage) -> Generator[float, None, Scores]:
        upscale, scores = network_upscaler(student), Scores({})
        for number, pair in enumerate(self.context.valid, 1):
            scores.images.update(self.context.score(upscale, on_image=on_image, pairs=[pair]).images)
            yield number / len(self.context.valid)
        return scores

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """A context whose time is counted as this part of the work."""
        start = time.perf_counter()
        with self.context.timer.during(part):
            yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start


def failure(number: int, error: BaseException) -> Failed:
    """The message for a trial that this error has ended; it may be tried again if memory was short."""
    if not is_out_of_memory(error):
        return Failed(number, str(error))
    # whoever took the memory may have given it back by then
    return Failed(number, f"out of memory: {textwrap.shorten(str(error) or repr(error), LONG)}", again=True)
