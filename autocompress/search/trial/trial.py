"""One trial: shrink the teacher, score, distill, score, keep."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import autocompress
from autocompress.distill.training import Training
from autocompress.evaluation.scores import network_upscaler
from autocompress.io import checkpoints
from autocompress.networks import describe
from autocompress.networks.base import SRNetwork
from autocompress.prune import from_scratch
from autocompress.search.space.cost import LATENCY_MS
from autocompress.search.space.search_space import Candidate
from autocompress.search.trial.context import TrialContext

OnStep = Callable[[int], object]
GoesOn = Callable[[int, float], bool]  # of a step and the PSNR-Y there

RUNG_RATIO = 3
FIRST_RUNG = 20  # Adam's first steps set every student back, the large ones most


def rung_steps(steps: int) -> list[int]:
    """The steps at which a training is scored: a ninth and a third, where that is not too early, and all."""
    early = (steps // RUNG_RATIO**power for power in (2, 1))
    return [*(step for step in early if step >= FIRST_RUNG), steps]


class Trial:
    """A student of one candidate on its way: from what an earlier attempt left in `state_file`, if there is such."""

    def __init__(self, candidate: Candidate, inputs: TrialContext, state_file: Path) -> None:
        self.candidate = candidate
        self._inputs = inputs
        self._state_file = state_file
        self.seconds: dict[str, float] = {}
        self._scores: dict[int, float] = {}  # PSNR-Y by step; 0 is before training
        state = self._read_state()
        with self._during("shrinking"):
            if state is None:
                student = inputs.shrink(candidate)
            else:
                student = from_scratch(inputs.family(candidate), candidate.config, 0)
            inputs.precision.place(student)
        if state is None:
            self._scores[0] = self._psnr(student)
        recipe = candidate.recipe
        self._training = Training(
            student, inputs.sampler(candidate), recipe, inputs.precision, inputs.target(candidate)
        )
        if state is not None:
            self._training.load_state_dict(state["training"])
            self._scores, self.seconds = state["scores"], state["seconds"]

    @contextmanager
    def _during(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        with self._inputs.ledger.during(part):
            yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start

    def train(self, on_step: OnStep, goes_on: GoesOn) -> bool:
        """Distill to the recipe's last step, or to a rung where it does not go on; returns whether it came to the end.

        Rungs that an earlier attempt came to are told again. Raises TrainingDiverged.
        """
        if not all(goes_on(step, psnr) for step, psnr in self._scores.items()):
            return False
        training, steps = self._training, self.candidate.recipe.steps
        for rung in rung_steps(steps):
            if rung in self._scores:
                continue
            with self._during("training"):
                training.run_to(rung, on_step)
            if rung < steps:
                self._scores[rung] = self._psnr(training.student)
                self._write_state()
                if not goes_on(rung, self._scores[rung]):
                    return False
        return True

    def finish(self, folder: Path) -> dict[str, float]:
        """Score on all metrics, write the student, and return its mean scores."""
        student = self._training.student
        with self._during("scoring"):
            crops = self._inputs.crops
            scores = self._inputs.score(
                network_upscaler(student), on_image=lambda image, sr: crops.keep(image, sr, folder)
            )
        with self._during("writing"):
            checkpoints.save_tensors(folder / "student.safetensors", student.state_dict())
            checkpoints.write_json(folder / "student.json", self._describe(student, scores.mean))
        return scores.mean

    def _psnr(self, student: SRNetwork) -> float:
        with self._during("scoring"):
            return self._inputs.psnr_y(network_upscaler(student))

    def _write_state(self) -> None:
        with self._during("writing"):
            state = {"training": self._training.state_dict(), "scores": self._scores, "seconds": self.seconds}
            checkpoints.save_objects(self._state_file, state)

    def _read_state(self) -> dict[str, Any] | None:
        if not self._state_file.is_file():
            return None
        state: dict[str, Any] = torch.load(self._state_file, map_location="cpu", weights_only=True)
        return state

    def _describe(self, student: SRNetwork, metrics: dict[str, float]) -> dict[str, Any]:
        task, references = self._inputs.task, self._inputs.references
        branch = task.joint_space[self.candidate.space]
        return {
            **describe(student),
            **({} if self.candidate.latency is None else {LATENCY_MS: self.candidate.latency}),
            "metrics": metrics,
            "provenance": {
                "space": branch.name,
                "teacher": branch.teacher_name,
                "teacher_digest": branch.teacher_digest,
                "target": branch.target_name,
                "target_digest": branch.target_digest,
                "init": task.settings.init,
                "recipe": self.candidate.recipe.to_dict(),
                # from these two a lost study is made again
                "point": dict(task.joint_space.in_study(branch, self.candidate.values)),
                "scores": {str(step): psnr for step, psnr in self._scores.items()},
                "psnr_y_before_training": self._scores[0],
                "validation": references | {"teacher": self._inputs.teachers[branch.name]},
                "trained_on": f"{len(self._inputs.bank)} images of {task.train.name}",
                "scored_on": f"{len(self._inputs.valid)} images of {task.valid.name}",
                "seconds": {part: round(seconds, 2) for part, seconds in self.seconds.items()},
                "arithmetic": self._inputs.precision.to_dict(),
                "versions": {"autocompress": autocompress.__version__, "torch": torch.__version__},
            },
        }
