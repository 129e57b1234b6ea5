"""Words that more than one verb takes. Nothing here imports torch: the command line completes them."""

from __future__ import annotations

from enum import StrEnum

from autocompress.errors import InvalidInput
from autocompress.shrink.init import Init


class RecipeName(StrEnum):
    """Whose numbers a training goes by: ours, for hours on a CPU, or the paper's, for days on a GPU."""

    OURS = "ours"
    PAPER = "paper"


def check_steps(steps: int | None) -> None:
    """Raise InvalidInput for a training of no steps; None is the recipe's number."""
    if steps is not None and steps < 1:
        raise InvalidInput(f"steps is {steps}, but must be >= 1")


def check_scale(scale: int | None) -> None:
    """Raise InvalidInput for a factor by which nothing here upscales; None is that of a network."""
    if scale not in (None, 2, 3, 4):
        raise InvalidInput(f"--scale is {scale}, but must be 2, 3 or 4")


def check_init(init: str) -> None:
    """Raise InvalidInput for a way to begin that there is not."""
    if init not in list(Init):
        raise InvalidInput(f"init is {init!r}, but must be one of {', '.join(Init)}")


def check_recipe(recipe: str) -> None:
    """Raise InvalidInput for a recipe that there is not."""
    if recipe not in list(RecipeName):
        raise InvalidInput(f"--recipe is {recipe!r}, but must be {' or '.join(RecipeName)}")
