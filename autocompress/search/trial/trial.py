"""One trial: shrink the teacher, score, distill to the next rung, score, and so on; keep the student."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import autocompress
from autocompress.distill.training import Training
from autocompress.errors import DiskFull
from autocompress.evaluation.records import TO_TEACHER, Scores
from autocompress.io import atomic, checkpoints
from autocompress.networks import describe, in_words
from autocompress.networks.base import SRNetwork
from autocompress.prune import from_scratch
from autocompress.search.run.student import WEIGHTS, Provenance, StudentRecord, write_student
from autocompress.search.space.search_space import Candidate
from autocompress.search.task import Task
from autocompress.search.trial.attempt import FAILURES, Attempt, failure
from autocompress.search.trial.context import TrialContext
from autocompress.search.trial.messages import Finished, Job, Message, Part, PartDone, RungReached
from autocompress.units import images_in_words

RUNG_RATIO = 3
FIRST_RUNG = 20  # steps; the first ones make every student worse, large ones most, so there is no rung before


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


def read_state(state_file: Path) -> dict[str, Any] | None:
    """The state of a training in a file; None where there is none, or one that cannot be read."""
    if not state_file.is_file():
        return None
    try:
        state = checkpoints.load_objects(state_file)
    except Exception:  # torch passes on whatever its pickle and zip readers raise
        return None
    return state if isinstance(state, dict) else None


def state_identity(task: Task, candidate: Candidate) -> str:
    """What is trained, how, taught by whom and on which images, as JSON: a state may be of another trial or run.

    Its scores at rungs are of the validation images, so that these count, too.
    """
    space = task.joint_space[candidate.space]
    about = {
        "space": space.name,
        "config": str(candidate.config),
        "recipe": candidate.recipe.to_dict(),
        "teacher": space.teacher_digest,
        "target": space.target_digest,
        "init": str(task.settings.init),
        "train": task.train.digest,
        "valid": task.valid.digest,
    }
    return json.dumps(about, sort_keys=True)


def read_own_state(state_file: Path, task: Task, candidate: Candidate) -> dict[str, Any] | None:
    """As `read_state`, but None also for that of another trial or run."""
    state = read_state(state_file)
    return state if state is not None and state.get("identity") == state_identity(task, candidate) else None


class _Trial(Attempt):
    """A trial at work; it begins from the state of an earlier attempt if the job's state file exists."""

    def __init__(self, job: Job, context: TrialContext) -> None:
        super().__init__(job.number, context)
        self._job = job

    def messages(self) -> Iterator[Message]:
        """The messages of the trial. Rungs that an earlier attempt has reached are reported again."""
        number, steps = self.number, self._job.candidate.recipe.steps
        training = self._resume()
        if training is None:
            training = yield from self._begin()
        for step, psnr in list(self.scores.items()):
            yield RungReached(number, step, psnr)
        for rung in rung_steps(steps):
            if rung in self.scores:
                continue
            yield from self.steps(training, rung)
            if rung < steps:
                self.score(training.student, rung)
                self._write_state(training)
                yield RungReached(number, rung, self.scores[rung])
        metrics = yield from self._finish(training.student)
        yield Finished(number, metrics, self.seconds)

    def _begin(self) -> Generator[PartDone, None, Training]:
        """Shrink the teacher, and score the student before training."""
        with self.timed("shrinking"):
            student = yield from self.shown(Part.MAKING, self.context.shrink(self._job.candidate))
            self.context.precision.place(student)
        self.score(student, 0)
        return self.context.training(student, self._job.candidate)

    def _resume(self) -> Training | None:
        """Continue at the last rung that the earlier attempt has reached; None where its state cannot be used."""
        candidate = self._job.candidate
        state = read_own_state(self._job.state_file, self.context.task, candidate)
        if state is None:
            return None
        with self.timed("shrinking"):
            student = from_scratch(self.context.family(candidate), candidate.config, 0)
            self.context.precision.place(student)
        training = self.context.training(student, candidate)
        try:
            training.load_state_dict(state["training"])
            self.scores, self.seconds = dict(state["scores"]), dict(state["seconds"])
        except Exception:  # whatever a state of another shape makes of it: the trial begins anew
            self.scores, self.seconds = {}, {}
            return None
        return training

    def _write_state(self, training: Training) -> None:
        with self.timed("writing"):
            state = {
                "identity": state_identity(self.context.task, self._job.candidate),
                "training": training.state_dict(),
                "scores": self.scores,
                "seconds": self.seconds,
            }
            checkpoints.save_objects(self._job.state_file, state)

    def _finish(self, student: SRNetwork) -> Generator[PartDone, None, dict[str, float]]:
        """Score on all metrics, write the student, and return its mean scores."""
        folder, crops = self._job.folder, self.context.crops
        pictures = dict[str, tuple[str, ...]]()
        scores = yield from self.score_whole(student, lambda image, sr: pictures.update(crops.keep(image, sr, folder)))
        with self.timed("writing"):
            weights = checkpoints.as_safetensors(student.state_dict())
            atomic.write_bytes(folder / WEIGHTS, weights)
            record = self._describe(student, scores)
            write_student(folder, replace(record, weights=(checkpoints.digest_of(weights),), pictures=pictures))
        return scores.mean

    def _describe(self, student: SRNetwork, scores: Scores) -> StudentRecord:
        task, candidate, context = self.context.task, self._job.candidate, self.context
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
            scores=self.scores,
            psnr_y_before_training=self.scores[0],
            validation=context.references | {"teacher": context.teachers[space.name]},
            trained_on=images_in_words(len(context.bank), task.train.name),
            scored_on=images_in_words(len(context.valid), task.valid.name),
            seconds={part: round(seconds, 2) for part, seconds in self.seconds.items()},
            arithmetic=context.precision.to_dict(),
            versions={"autocompress": autocompress.__version__, "torch": torch.__version__},
        )
        return StudentRecord(
            **describe(student),
            network=in_words(student),
            metrics=scores.mean,
            provenance=provenance,
            latency_ms=candidate.latency,
            psnr_y_by_image=scores.by_image("psnr_y"),
            psnr_y_to_teacher_by_image=None if context.outputs is None else scores.by_image(TO_TEACHER),
        )
