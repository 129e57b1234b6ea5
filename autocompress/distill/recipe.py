"""How a student is trained: every number that a training depends on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from autocompress.compute.losses import TEACHER_LOSSES
from autocompress.distill.optimizers import OPTIMIZERS
from autocompress.errors import ConfigError
from autocompress.networks import find_family

RATE_PARAMS = 50_000
RATES = {"soap": 4e-3, "adam": 2e-3}  # learning rates of a student of RATE_PARAMS parameters
LARGEST_RATE = 1.6e-2
LARGEST_NUMBER = 1e38  # that float32 holds
UNCLIPPED = 1e9  # as a limit of the gradient's norm: never reached, so nothing is clipped


@dataclass(frozen=True)
class Recipe:
    """loss = teacher_share * teacher_loss(student, teacher) + (1 - teacher_share) * L1(student, ground truth).

    Where `feature_weight` is not 0, that many times `FeatureTerm` is added, for which the teacher runs on every batch.
    `optimizer` is one of OPTIMIZERS. Both ignore the scale of a loss, so one share stands for both weights: the paper's
    1 and 0.1 are a share of 1 / 1.1. The learning rate (None: by the student's size, see `of_student`) rises linearly
    over the first `warmup` of the steps and falls as a cosine to zero, or, where there is any step to `halve_at`, by
    half at each of those. `patch_size` is in LR pixels.
    """

    steps: int = 300
    batch_size: int = 16
    patch_size: int = 32
    optimizer: str = "soap"
    learning_rate: float | None = None
    warmup: float = 0.05
    clip: float = 1.0
    ema: float = 0.999
    teacher_loss: str = "l1"
    teacher_share: float = 0.75  # better than 0.5 by 0.01 to 0.03 dB at all sizes tried (benchmarks/recipe_numbers.py)
    feature_weight: float = 0.0
    halve_at: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for item in fields(self):
            if isinstance(getattr(self, item.name), bool):
                raise ConfigError(f"{item.name} is {getattr(self, item.name)}, but must be a number or a word")
        for name in ("steps", "batch_size", "patch_size"):
            value = getattr(self, name)
            if value < 1:
                raise ConfigError(f"{name} is {value}, but must be >= 1")
            if not isinstance(value, int):
                raise ConfigError(f"{name} is {value}, but must be a whole number")
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= LARGEST_NUMBER:
                raise ConfigError(f"{name} is {value}, but must be > 0, and at most {LARGEST_NUMBER:g}")
        if not 0 <= self.feature_weight <= LARGEST_NUMBER:
            raise ConfigError(
                f"feature_weight is {self.feature_weight}, but must be >= 0, and at most {LARGEST_NUMBER:g}"
            )
        for name in ("teacher_share", "warmup", "ema"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be from 0 to 1")
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer is {self.optimizer!r}, but must be one of {', '.join(OPTIMIZERS)}")
        if self.teacher_loss not in TEACHER_LOSSES:
            known = ", ".join(TEACHER_LOSSES)
            raise ConfigError(f"teacher_loss is {self.teacher_loss!r}, but must be one of {known}")

    def of_student(self, params: int) -> Recipe:
        """The recipe itself, or where it has no learning rate the same with that of a student of so many parameters.

        Small students want larger ones: as 1 / sqrt(parameters) up to LARGEST_RATE (benchmarks/learners.py).
        """
        if self.learning_rate is not None:
            return self
        rate = RATES[self.optimizer] * math.sqrt(RATE_PARAMS / params)
        return replace(self, learning_rate=min(rate, LARGEST_RATE))

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of the update that follows `step` finished ones; see `of_student`."""
        assert self.learning_rate is not None
        warmup_steps = round(self.warmup * self.steps)
        if step < warmup_steps:
            return self.learning_rate * (step + 1) / warmup_steps
        if self.halve_at:
            return self.learning_rate * 0.5 ** sum(step >= at for at in self.halve_at)
        progress = (step - warmup_steps) / max(1, self.steps - warmup_steps)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    def ema_at(self, step: int) -> float:
        """The decay of the weights' moving average: it grows with the steps, so that short runs forget their start."""
        return min(self.ema, (1 + step) / (10 + step))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Recipe:
        """Of what `to_dict` made. Before there was a choice of an optimizer it was Adam."""
        known = {item.name: content[item.name] for item in fields(cls) if item.name in content}
        return cls(**{"optimizer": "adam"} | known | {"halve_at": tuple(known.get("halve_at", ()))})

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return asdict(self) | {"halve_at": list(self.halve_at)}


OUR_STEPS = 3000
PAPER_STEPS = 800_000


def our_recipe(steps: int = OUR_STEPS, seed: int = 0) -> Recipe:
    """The default recipe for training a single student from its projection."""
    return Recipe(steps=steps, patch_size=48, seed=seed)


def paper_recipe(family: str, steps: int = PAPER_STEPS, seed: int = 0) -> Recipe:
    """How the paper distills (Jiang et al. 2024, section 3, and their released files), in as many steps, from scratch.

    The loss is MultiLap to the teacher and 0.1 times L1 to the truth. One of the released files says a learning rate of
    1e-7, which is taken for the end of a fine-tuning; the paper's is 1e-4. Its gradients are not clipped. In fewer
    steps the learning rate is halved sooner, in proportion. Raises ConfigError for a family that is not the paper's.
    """
    numbers = find_family(family).paper_numbers()
    return Recipe(
        steps=steps,
        batch_size=16,
        patch_size=numbers.patch_size,
        optimizer="adam",
        learning_rate=1e-4,
        warmup=0.0,
        clip=UNCLIPPED,
        teacher_loss="multilap",
        teacher_share=1 / 1.1,
        halve_at=tuple(round(at * steps / PAPER_STEPS) for at in numbers.halve_at),
        seed=seed,
    )
