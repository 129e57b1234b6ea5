"""A pickle that runs code where it is read."""

from pathlib import Path
from typing import Any


class Bomb:
    """Leaves a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)
