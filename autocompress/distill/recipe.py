"""How a student is trained: every number that a training depends on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from autocompress.distill.losses import TEACHER_LOSSES
from autocompress.errors import ConfigError


@dataclass(frozen=True)
class Recipe:
    """loss = teacher_share * teacher_loss(student, teacher) + (1 - teacher_share) * L1(student, ground truth).

    Adam ignores the scale of a loss, so one share stands for both weights: the paper's 1 and 0.1 are a share
    of 1 / 1.1. The learning rate rises linearly over the first `warmup` of the steps and falls as a cosine to
    zero. `patch_size` is in LR pixels.
    """

    steps: int = 300
    batch_size: int = 16
    patch_size: int = 32
    learning_rate: float = 2e-3
    warmup: float = 0.05
    clip: float = 1.0
    ema: float = 0.999
    teacher_loss: str = "l1"
    teacher_share: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "patch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be >= 1")
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be > 0")
        for name in ("teacher_share", "warmup", "ema"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be from 0 to 1")
        if self.teacher_loss not in TEACHER_LOSSES:
            known = ", ".join(TEACHER_LOSSES)
            raise ConfigError(f"teacher_loss is {self.teacher_loss!r}, but must be one of {known}")

    def learning_rate_at(self, step: int) -> float:
        """Of the update that follows `step` finished ones."""
        warmup_steps = round(self.warmup * self.steps)
        if step < warmup_steps:
            return self.learning_rate * (step + 1) / warmup_steps
        progress = (step - warmup_steps) / max(1, self.steps - warmup_steps)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    def ema_at(self, step: int) -> float:
        """The decay of the moving average of the weights: it grows, or short runs would keep their start."""
        return min(self.ema, (1 + step) / (10 + step))

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return asdict(self)
