"""One trial: shrink the teacher, score, distill, score, keep."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import autocompress
from autocompress import checkpoints
from autocompress.distill.training import Training
from autocompress.evaluate import network_upscaler
from autocompress.families import describe
from autocompress.families.base import SRNetwork
from autocompress.search.inputs import Inputs
from autocompress.search.space import Candidate

OnStep = Callable[[int], None]
OnScore = Callable[[int, float], None]

RUNG_RATIO = 3
FIRST_RUNG = 20  # Adam's first steps set every student back, the large ones most


def rung_steps(steps: int) -> list[int]:
    """The steps at which a training is scored: a ninth and a third, where that is not too early, and all."""
    early = (steps // RUNG_RATIO**power for power in (2, 1))
    return [*(step for step in early if step >= FIRST_RUNG), steps]


class Trial:
    """A student of one candidate; it is shrunk and scored when made, and can then be trained."""

    def __init__(self, number: int, candidate: Candidate, inputs: Inputs) -> None:
        self.number = number
        self.candidate = candidate
        self._inputs = inputs
        self.seconds: dict[str, float] = {}
        with self._during("shrinking"):
            self._student = inputs.shrink(candidate)
            inputs.arithmetic.place(self._student)
        self.psnr_before_training = self._psnr(self._student)

    @contextmanager
    def _during(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        with self._inputs.ledger.during(part):
            yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start

    def train(self, on_step: OnStep, on_score: OnScore) -> None:
        """Distill to the recipe's last step, with a look at the PSNR-Y at each rung; raises TrainingDiverged."""
        recipe = self.candidate.recipe
        sampler, target = self._inputs.sampler(self.candidate), self._inputs.target(self.candidate)
        training = Training(self._student, sampler, recipe, self._inputs.arithmetic, target)
        for rung in rung_steps(recipe.steps):
            with self._during("training"):
                training.run_to(rung, on_step)
            if rung < recipe.steps:
                on_score(rung, self._psnr(training.student))
        self._student = training.student

    def finish(self, folder: Path) -> dict[str, float]:
        """Score on all metrics, write the student, and return its mean scores."""
        with self._during("scoring"):
            metrics = self._inputs.score(network_upscaler(self._student)).mean
        with self._during("writing"):
            checkpoints.save_tensors(folder / "student.safetensors", self._student.state_dict())
            checkpoints.write_json(folder / "student.json", self._describe(metrics))
        return metrics

    def _psnr(self, student: SRNetwork) -> float:
        with self._during("scoring"):
            return self._inputs.psnr_y(network_upscaler(student))

    def _describe(self, metrics: dict[str, float]) -> dict[str, Any]:
        task, references = self._inputs.task, self._inputs.references
        branch = task.branches[self.candidate.space]
        return {
            **describe(self._student),
            "metrics": metrics,
            "provenance": {
                "space": branch.name,
                "teacher": branch.teacher_name,
                "teacher_digest": branch.teacher_digest,
                "target": branch.target_name,
                "target_digest": branch.target_digest,
                "init": task.settings.init,
                "recipe": self.candidate.recipe.to_dict(),
                "psnr_y_before_training": self.psnr_before_training,
                "validation": references | {"teacher": self._inputs.teachers[branch.name]},
                "trained_on": f"{len(self._inputs.bank)} images of {task.train.name}",
                "scored_on": f"{len(self._inputs.valid)} images of {task.valid.name}",
                "seconds": {part: round(seconds, 2) for part, seconds in self.seconds.items()},
                "arithmetic": self._inputs.arithmetic.to_dict(),
                "versions": {"autocompress": autocompress.__version__, "torch": torch.__version__},
            },
        }
