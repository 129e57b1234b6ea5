"""The ways in which a student may begin. Nothing here imports torch: shell completion needs these words fast."""

from __future__ import annotations

from enum import StrEnum


class Init(StrEnum):
    """What a student takes from its teacher before it is trained; `prune.shrinker` explains each."""

    PROJECTION = "projection"
    DENSITY = "density"
    COPY = "copy"
    TAYLOR = "taylor"
    SCRATCH = "scratch"
