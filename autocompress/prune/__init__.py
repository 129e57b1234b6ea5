"""Stages one and two of the paper: how much of a teacher is needed, and making smaller, dense students of it.

`sparsify` retrains a teacher by OBProx-SG, `densities` reads off how much of each layer is left; `shrinking` makes
students by what the teacher's family offers. This room may import `evaluation` and all rooms below it, but neither
`distill` nor `search`.
"""

from __future__ import annotations

from autocompress.prune.densities import Pruned, densities_of
from autocompress.prune.shrinking import (
    NUM_PATCHES,
    PATCH_SIZE,
    analyse,
    from_scratch,
    sample_patches,
    shrink,
    shrinker,
    shrinker_from,
)
from autocompress.prune.sparsify import SparsifySettings, default_settings, paper_settings, sparsify

__all__ = [
    "NUM_PATCHES",
    "PATCH_SIZE",
    "Pruned",
    "SparsifySettings",
    "analyse",
    "default_settings",
    "densities_of",
    "from_scratch",
    "paper_settings",
    "sample_patches",
    "shrink",
    "shrinker",
    "shrinker_from",
    "sparsify",
]
