"""A piece of a refinement: a student trains on from its weights, and stays as it was unless that made it better."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError

from autocompress.distill.recipe import Recipe
from autocompress.distill.training import Training
from autocompress.errors import DiskFull, RunError, cut
from autocompress.evaluation.records import score_of
from autocompress.evaluation.scores import Image
from autocompress.io import atomic, checkpoints
from autocompress.prune import from_scratch
from autocompress.search.run.student import WEIGHTS, Piece, write_student
from autocompress.search.settings import MAX_SEED
from autocompress.search.trial.attempt import FAILURES, Attempt, failure
from autocompress.search.trial.context import TrialContext
from autocompress.search.trial.messages import Finished, Job, Message, PartDone, PieceJob, RungReached
from autocompress.search.trial.trial import read_own_state, read_state, run_trial, state_identity

SAVING_SHARE = 0.05  # of the time, at most, that scores on the way and states may take
SEEDS_APART = 100_000  # so that no piece has the patches of another piece or of a trial


def work_on(job: Job, context: TrialContext) -> Iterator[Message]:
    """The `Work` of every search: on a trial, or on a piece of the refinement of its student."""
    return run_piece(job, context) if isinstance(job, PieceJob) else run_trial(job, context)


def run_piece(job: PieceJob, context: TrialContext) -> Iterator[Message]:
    """Train a student on, write it and its record, and yield the messages; failures are as in `run_trial`.

    RungReached, with a score, follows each state that is written. Finished has the metrics of the weights that the
    student has then. Where all is written and only the job's state file is left, the record tells: it has one piece
    more. The state file is for whoever gave the job to remove.
    """
    try:
        yield from _Piece(job, context).messages()
    except DiskFull:
        raise
    except FAILURES as error:
        yield failure(job.number, error)


def begun_piece(state_file: Path) -> tuple[int, int] | None:
    """The ordinal and the steps of the piece whose state is in a file; None where there is none that can be read."""
    state = read_state(state_file) or {}
    ordinal, steps = state.get("ordinal"), state.get("steps")
    return (ordinal, steps) if isinstance(ordinal, int) and isinstance(steps, int) else None


def piece_recipe(recipe: Recipe, ordinal: int, steps: int) -> Recipe:
    """The recipe of a piece: the student's own, with a schedule of so many steps and a seed of its own.

    It restarts at the full learning rate: half of it, and a quarter, gained less (benchmarks/restarts.py).
    """
    seed = (recipe.seed + SEEDS_APART * (ordinal + 1)) % (MAX_SEED + 1)
    return replace(recipe, steps=steps, seed=seed)


class _Piece(Attempt):
    """A piece at work; it goes on from the state of an earlier attempt at the same piece, if the job's file has one."""

    def __init__(self, job: PieceJob, context: TrialContext) -> None:
        super().__init__(job.number, context)
        self._job = job
        recipe = piece_recipe(job.candidate.recipe, job.ordinal, job.steps)
        self._candidate = replace(job.candidate, recipe=recipe)
        self._pause = job.save_every

    def messages(self) -> Iterator[Message]:
        """The messages of the piece."""
        steps, training = self._job.steps, self._open()
        while training.step < steps:
            yield from self.steps(training, steps, self._pause)
            # the last one too: if a crash parts the weights from their record, both are written again from it
            start = time.monotonic()
            if training.step < steps:
                self.score(training.student, training.step)
            self._write_state(training)
            if training.step < steps:
                self._pause = max(self._job.save_every, (time.monotonic() - start) / SAVING_SHARE)
                yield RungReached(self.number, training.step, self.scores[training.step])
        metrics = yield from self._finish(training)
        yield Finished(self.number, metrics, self.seconds)

    def _open(self) -> Training:
        """The training, at its first step or where its state was written last, if that can be read."""
        training = self._begin()
        state = read_own_state(self._job.state_file, self.context.task, self._candidate)
        if state is None or begun_piece(self._job.state_file) != (self._job.ordinal, self._job.steps):
            return training
        try:
            training.load_state_dict(state["training"])
            self.scores, self.seconds = dict(state["scores"]), dict(state["seconds"])
        except Exception:  # whatever a state of another shape makes of it: the piece begins anew
            self.scores, self.seconds = {}, {}
            return self._begin()
        return training

    def _begin(self) -> Training:
        candidate = self._candidate
        student = from_scratch(self.context.family(candidate), candidate.config, 0)
        try:
            student.load_state_dict(safetensors.torch.load(self._job.weights))
        except (SafetensorError, RuntimeError) as error:  # of an older run, whose student.json has no digest of them
            file = self._job.folder / WEIGHTS
            raise RunError(
                f"{file}: not the weights that its student.json describes ({cut(' '.join(str(error).split()))}); "
                f"restore it, or remove the folder {file.parent}, and the search's own command trains another"
            ) from error
        self.context.precision.place(student)
        return self.context.training(student, candidate)

    def _write_state(self, training: Training) -> None:
        with self.timed("writing"):
            state = {
                "identity": state_identity(self.context.task, self._candidate),
                "ordinal": self._job.ordinal,
                "steps": self._job.steps,
                "training": training.state_dict(),
                "scores": self.scores,
                "seconds": self.seconds,
            }
            checkpoints.save_objects(self._job.state_file, state)

    def _finish(self, training: Training) -> Generator[PartDone, None, dict[str, float]]:
        """Score on all metrics, replace the weights if they are better now, and write the record; returns its metrics.

        The record is written last, so that it never promises more than the weights hold.
        """
        job, crops = self._job, self.context.crops
        upscaled: dict[str, Image] = {}
        shown = {crop.image for crop in crops.crops}

        def keep(image: str, sr: Image) -> None:
            if image in shown:
                upscaled[image] = sr

        scores = yield from self.score_whole(training.student, keep)
        psnr = score_of(scores.mean)
        better = psnr > job.student.score
        with self.timed("writing"):
            before, pictures = job.student.weights, job.student.pictures
            if better:
                weights = checkpoints.as_safetensors(training.student.state_dict())
                # until the record is replaced, too, either file may be there
                before = (*(before or (checkpoints.digest_of(job.weights),)), checkpoints.digest_of(weights))
                drawn = {name: file for each in upscaled.items() for name, file in crops.of_student(*each).items()}
                pictures = {name: (checkpoints.digest_of(content),) for name, content in drawn.items()}
                known = job.student.pictures
                either = {name: (*known.get(name, ()), *pictures.get(name, ())) for name in {**known, **pictures}}
                write_student(job.folder, replace(job.student, weights=before, pictures=either if known else {}))
                atomic.write_bytes(job.folder / WEIGHTS, weights)
                for name, content in drawn.items():
                    atomic.write_bytes(job.folder / name, content)
            assert training.recipe.learning_rate is not None
            piece = Piece(
                steps=job.steps,
                seconds=round(sum(self.seconds.values()), 2),
                psnr_y=psnr,
                kept=better,
                learning_rate=training.recipe.learning_rate,
                ended=round(time.time(), 3),
                scores=self.scores,
            )
            refined = job.student.refined(piece, scores)
            refined = replace(refined, weights=before[-1:] if better else before, pictures=pictures)
            write_student(job.folder, refined)
        return dict(refined.metrics)
