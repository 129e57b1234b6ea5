"""One trial: shrink the teacher, score, distill to the next rung, score, and so on; keep the student."""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

import autocompress
from autocompress.distill.training import Training
from autocompress.errors import AutocompressError, DiskFull
from autocompress.evaluation.scores import Scores, network_upscaler
from autocompress.io import checkpoints
from autocompress.networks import describe
from autocompress.networks.base import SRNetwork
from autocompress.prune import from_scratch
from autocompress.search.run.student import WEIGHTS, Provenance, StudentRecord, write_student
from autocompress.search.trial.context import TrialContext
from autocompress.search.trial.messages import Failed, Finished, Job, Message, RungReached, StepDone

RUNG_RATIO = 3
FIRST_RUNG = 20  # steps; the first ones make every student worse, large ones most, so there is no rung before
STEP_EVERY = 0.25  # seconds between messages StepDone: as often as a terminal draws

# what ends a trial and not the search; PyTorch raises RuntimeError for a singular matrix
FAILURES = (AutocompressError, RuntimeError, MemoryError)
# what PyTorch says where memory is short and its RuntimeError has no type of its own: of the CPU (of Windows, and of
# C++ everywhere), and of CUDA and its libraries
NO_MEMORY = ("can't allocate memory", "not enough memory", "bad_alloc", "CUDA error: out of memory", "ALLOC_FAILED")
LONG = 200  # characters of a reason: PyTorch adds pages of advice


def rung_steps(steps: int) -> list[int]:
    """The steps at which a training is scored: a ninth and a third of it, if not before FIRST_RUNG, and its end."""
    early = (steps // RUNG_RATIO**power for power in (2, 1))
    return [*(step for step in early if step >= FIRST_RUNG), steps]


def run_trial(job: Job, context: TrialContext) -> Iterator[Message]:
    """Make, score and train a job's student, and yield its messages: the `Work` of every search.

    Raises DiskFull, which other trials would meet too; any other failure is the last message.
    """
    try:
        yield from _Trial(job, context).messages()
    except DiskFull:
        raise
    except FAILURES as error:
        yield failure(job.number, error)


def failure(number: int, error: BaseException) -> Failed:
    """The message for a trial that this error has ended; it may be tried again if memory was short."""
    if not _out_of_memory(error):
        return Failed(number, str(error))
    # whoever took the memory may have given it back by then
    return Failed(number, f"out of memory: {textwrap.shorten(str(error) or repr(error), LONG)}", again=True)


def _out_of_memory(error: BaseException) -> bool:
    """Whether it says that there is too little memory, here or on the GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in NO_MEMORY)


class _Trial:
    """A trial at work; it begins from the state of an earlier attempt if the job's state file exists."""

    def __init__(self, job: Job, context: TrialContext) -> None:
        self._job = job
        self._context = context
        self._seconds: dict[str, float] = {}  # by part of the work
        self._scores: dict[int, float] = {}  # PSNR-Y by step; 0 is before training

    def messages(self) -> Iterator[Message]:
        """The messages of the trial. Rungs that an earlier attempt has reached are reported again."""
        number, steps = self._job.number, self._job.candidate.recipe.steps
        training = self._resume() if self._job.state_file.is_file() else self._begin()
        for step, psnr in list(self._scores.items()):
            yield RungReached(number, step, psnr)
        for rung in rung_steps(steps):
            if rung in self._scores:
                continue
            yield from self._distill(training, rung)
            if rung < steps:
                self._score(training.student, rung)
                self._write_state(training)
                yield RungReached(number, rung, self._scores[rung])
        metrics = self._finish(training.student)
        yield Finished(number, metrics, self._seconds)

    def _begin(self) -> Training:
        """Shrink the teacher, and score the student before training."""
        with self._timed("shrinking"):
            student = self._context.shrink(self._job.candidate)
            self._context.precision.place(student)
        self._score(student, 0)
        return self._context.training(student, self._job.candidate)

    def _resume(self) -> Training:
        """Continue at the last rung that the earlier attempt has reached."""
        candidate = self._job.candidate
        state: dict[str, Any] = torch.load(self._job.state_file, map_location="cpu", weights_only=True)
        with self._timed("shrinking"):
            student = from_scratch(self._context.family(candidate), candidate.config, 0)
            self._context.precision.place(student)
        training = self._context.training(student, candidate)
        training.load_state_dict(state["training"])
        self._scores, self._seconds = state["scores"], state["seconds"]
        return training

    def _distill(self, training: Training, rung: int) -> Iterator[StepDone]:
        """Train to a rung; StepDone for the first step, then every STEP_EVERY seconds. Raises TrainingDiverged."""
        told = -math.inf
        with self._timed("training"):
            for step in training.steps_to(rung):
                if (now := time.monotonic()) - told >= STEP_EVERY:
                    told = now
                    yield StepDone(self._job.number, step)

    def _score(self, student: SRNetwork, step: int) -> None:
        with self._timed("scoring"):
            self._scores[step] = self._context.psnr_y(network_upscaler(student))

    def _write_state(self, training: Training) -> None:
        with self._timed("writing"):
            state = {"training": training.state_dict(), "scores": self._scores, "seconds": self._seconds}
            checkpoints.save_objects(self._job.state_file, state)

    def _finish(self, student: SRNetwork) -> dict[str, float]:
        """Score on all metrics, write the student, and return its mean scores."""
        folder, crops = self._job.folder, self._context.crops
        with self._timed("scoring"):
            scores = self._context.score(
                network_upscaler(student), on_image=lambda image, sr: crops.keep(image, sr, folder)
            )
        with self._timed("writing"):
            checkpoints.save_tensors(folder / WEIGHTS, student.state_dict())
            write_student(folder, self._describe(student, scores))
        return scores.mean

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        with self._context.timer.during(part):
            yield
        self._seconds[part] = self._seconds.get(part, 0.0) + time.perf_counter() - start

    def _describe(self, student: SRNetwork, scores: Scores) -> StudentRecord:
        task, candidate, context = self._context.task, self._job.candidate, self._context
        space = task.joint_space[candidate.space]
        provenance = Provenance(
            space=space.name,
            teacher=space.teacher_name,
            teacher_digest=space.teacher_digest,
            target=space.target_name,
            target_digest=space.target_digest,
            init=str(task.settings.init),
            recipe=candidate.recipe.to_dict(),
            point=dict(task.joint_space.in_study(space, candidate.values)),
            scores=self._scores,
            psnr_y_before_training=self._scores[0],
            validation=context.references | {"teacher": context.teachers[space.name]},
            trained_on=f"{len(context.bank)} images of {task.train.name}",
            scored_on=f"{len(context.valid)} images of {task.valid.name}",
            seconds={part: round(seconds, 2) for part, seconds in self._seconds.items()},
            arithmetic=context.precision.to_dict(),
            versions={"autocompress": autocompress.__version__, "torch": torch.__version__},
        )
        return StudentRecord(
            **describe(student),
            metrics=scores.mean,
            provenance=provenance,
            latency_ms=candidate.latency,
            psnr_y_by_image=scores.by_image("psnr_y"),
        )
