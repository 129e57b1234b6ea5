"""The numbers that a family declares for its training and pruning; what they mean is in `distill` and `prune`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperNumbers:
    """What Jiang et al. 2024 (arXiv 2401.00523, sections 2.1 and 3, and their released files) train this family with.

    `patch_size` is in LR pixels. The learning rate is halved at the steps of `halve_at`, of 800,000 of distillation,
    and at those of `prune_halve_at`, of the `prune_steps` of pruning.
    """

    patch_size: int
    halve_at: tuple[int, ...]
    prune_steps: int
    prune_halve_at: tuple[int, ...] = ()


@dataclass(frozen=True)
class FamilyRecipe:
    """What a family is trained with: the learning rate and the steps of pruning.

    `paper` is None where the paper does not train this family.
    """

    prune_learning_rate: float = 0.1
    prune_steps: int = 800
    paper: PaperNumbers | None = None
