"""Training a student on patches, from its teacher's outputs and from the ground truth."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from autocompress.compute.convolution import exempt_from_autocast
from autocompress.compute.cuda_graphs import CapturedStep, on_side_stream
from autocompress.compute.losses import TEACHER_LOSSES, l1
from autocompress.compute.precision import Precision
from autocompress.data.patches import Batch, PatchSampler
from autocompress.distill.features import FeatureTerm
from autocompress.distill.optimizers import make_optimizer
from autocompress.distill.recipe import Recipe
from autocompress.errors import InvalidInput, TrainingDiverged
from autocompress.networks.base import SRNetwork
from autocompress.units import quantity

CHECK_EVERY = 10  # steps between checks of the loss: reading it waits for the GPU to finish its queue
EXACT_SHARE = 0.1  # share of the steps, the last ones, in float32, as students are scored (benchmarks/precision.py)
STEPS_BEFORE_CAPTURE = 3  # the libraries choose their algorithms in them, and the optimizer makes its state

Compiler = str | Callable[..., Any]
"""A backend of torch.compile."""


class Training:
    """The training of a student by a recipe; it can stop at any step, be stored, and resume with the same results.

    The sampler gives batches with `lr`, `hr` and, unless the recipe's teacher_share is 0, `teacher`. `guide` is the
    network whose features the student learns from if the recipe's feature_weight is not 0.
    """

    def __init__(
        self,
        student: SRNetwork,
        sampler: PatchSampler,
        recipe: Recipe,
        precision: Precision,
        guide: SRNetwork | None = None,
    ) -> None:
        self.recipe = recipe = recipe.of_student(sum(weights.numel() for weights in student.parameters()))
        self.step = 0
        self.precision = precision
        self._sampler = sampler
        self._student = copy.deepcopy(student).train()
        exempt_from_autocast(self._student.exact())
        precision.place(self._student)
        self._average = copy.deepcopy(self._student).eval().requires_grad_(False)
        self._features = None if recipe.feature_weight == 0 else self._feature_term(guide)
        self._parameters: list[Tensor] = list(self._student.parameters())
        self._learning = [*self._parameters, *([] if self._features is None else self._features.parameters())]
        self._averages: list[Tensor] = list(self._average.parameters())
        # The numbers that change from step to step are tensors: a captured step reads them anew at each replay.
        self._learning_rate, self._towards = torch.zeros(2, device=precision.device).unbind()
        modules = [self._student, *([] if self._features is None else [self._features])]
        self._optimizer = make_optimizer(recipe.optimizer, modules, self._learning_rate, precision.graphs)
        self._captured: CapturedStep | None = None
        self._steps_here = 0
        self._stance: str | None = None  # torch.compiler's, once anything is compiled
        self._exact = False

    @property
    def student(self) -> SRNetwork:
        """The student with the moving average of its weights, in eval mode: this is what is scored and saved."""
        return self._average

    def run_to(self, step: int, on_step: Callable[[int], object] | None = None) -> None:
        """Train until `step` updates are done; raises TrainingDiverged when the loss is not finite."""
        for done in self.steps_to(step):
            if on_step is not None:
                on_step(done)

    def steps_to(self, step: int) -> Iterator[int]:
        """As `run_to`, one update at a time: yields how many are done, and does the next when it is asked for it."""
        while self.step < step:
            loss = self._update()
            self._optimizer.after_step()
            self.step += 1
            if self.step % CHECK_EVERY == 0 or self.step == step:
                self.check(loss.item())
            yield self.step
        if not torch.stack([average.isfinite().all() for average in self._averages]).all():
            self.check(math.nan)

    def compile(self, wanted: bool, backend: Compiler = "inductor") -> None:
        """From the next step on, run the student's repeated parts through torch.compile, or no longer.

        A module cannot be un-compiled, but what is compiled can be left unused.
        """
        if wanted:
            for part in self._student.repeated():
                part.compile(backend=backend)
        self._stance = "default" if wanted else "force_eager"
        self._captured, self._steps_here = None, 0

    def _update(self) -> Tensor:
        """One step, on the next batch; returns its loss."""
        batch = self._sampler.sample()
        exact = self.step >= round((1 - EXACT_SHARE) * self.recipe.steps)
        if exact != self._exact:
            self._exact, self._captured, self._steps_here = exact, None, 0
        tensors = (batch.lr, *batch.targets.values())

        def step(lr: Tensor, *targets: Tensor) -> Tensor:
            return self._step_on(Batch(lr, dict(zip(batch.targets, targets, strict=True))))

        self._learning_rate.fill_(self.recipe.learning_rate_at(self.step))
        self._towards.fill_(1 - self.recipe.ema_at(self.step))
        self._steps_here += 1
        if not self.precision.graphs:
            return self._step_on(batch)
        if self._steps_here <= STEPS_BEFORE_CAPTURE:
            return on_side_stream(step, tensors)
        if self._captured is None:
            self._captured = CapturedStep(step, tensors)
        return self._captured(tensors)

    def _step_on(self, batch: Batch) -> Tensor:
        autocast = contextlib.nullcontext() if self._exact else self.precision.autocast()
        # asked of torch only where it matters: the compiler takes seconds to be imported
        stance = contextlib.nullcontext() if self._stance is None else torch.compiler.set_stance(self._stance)
        with stance, autocast:
            features = self._student.features(batch.lr)
            sr = self._student.upsampled(features, *batch.lr.shape[-2:])
            term = None if self._features is None else self._features(features, batch.lr)
        loss = self._loss(sr.float(), batch.targets)
        if term is not None:
            loss = loss + self.recipe.feature_weight * term
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._learning, self.recipe.clip)
        self._optimizer.step()
        with torch.no_grad():
            ahead = torch._foreach_sub(self._parameters, self._averages)
            torch._foreach_mul_(ahead, self._towards)
            torch._foreach_add_(self._averages, ahead)
        return loss.detach()

    def _feature_term(self, guide: SRNetwork | None) -> FeatureTerm:
        """The feature term, fitted on the first batch; the sampler is set back, so that training has that batch too."""
        if guide is None:
            raise InvalidInput(f"feature_weight is {self.recipe.feature_weight}, but no network is given to learn from")
        before = self._sampler.state_dict()
        lr = self._sampler.sample().lr
        self._sampler.load_state_dict(before)
        return FeatureTerm(self._student, guide, lr)

    def _loss(self, sr: Tensor, targets: dict[str, Tensor]) -> Tensor:
        share = self.recipe.teacher_share
        loss = sr.new_zeros(())
        if share > 0:
            loss = loss + share * TEACHER_LOSSES[self.recipe.teacher_loss](sr, targets["teacher"])
        if share < 1:
            loss = loss + (1 - share) * l1(sr, targets["hr"])
        return loss

    def check(self, loss: float) -> None:
        """Raise TrainingDiverged for a loss, or an output, that is not finite."""
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss is {loss} after {quantity(self.step, 'step')} at learning rate {self.recipe.learning_rate}; "
                "a lower one may help"
            )

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that is needed to resume."""
        state = {
            "step": self.step,
            "student": self._student.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "sampler": self._sampler.state_dict(),
        }
        if self._features is not None:
            state["features"] = self._features.state_dict()
        return copy.deepcopy(state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict()` of the same student and recipe."""
        self.step = state["step"]
        self._student.load_state_dict(state["student"])
        self._average.load_state_dict(state["average"])
        if self._features is not None:
            self._features.load_state_dict(state["features"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._captured, self._steps_here = None, 0  # the optimizer's state has moved: a captured step is invalid
        self._sampler.load_state_dict(state["sampler"])
