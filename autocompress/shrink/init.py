"""How a student starts, by name. Nothing here imports torch: the command line completes these words."""

from __future__ import annotations

from enum import StrEnum


class Init(StrEnum):
    """What a student has of its teacher before it is trained; `prune.shrinker` says how each is made."""

    PROJECTION = "projection"
    DENSITY = "density"
    COPY = "copy"
    TAYLOR = "taylor"
    SCRATCH = "scratch"
