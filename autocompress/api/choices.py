"""Words that more than one verb takes. Nothing here imports torch: the command line completes them."""

from __future__ import annotations

from enum import StrEnum

from autocompress.errors import InvalidInput


class RecipeName(StrEnum):
    """Whose numbers a training goes by: ours, for hours on a CPU, or the paper's, for days on a GPU."""

    OURS = "ours"
    PAPER = "paper"


def check_recipe(recipe: str) -> None:
    """Raise InvalidInput for a recipe that there is not."""
    if recipe not in list(RecipeName):
        raise InvalidInput(f"--recipe is {recipe!r}, but must be {' or '.join(RecipeName)}")
