"""Stage one: from a trained teacher to a smaller, dense student that already computes nearly the same."""

from __future__ import annotations

import torch
from torch import Tensor

from autocompress.arithmetic import Arithmetic
from autocompress.data.bank import PixelBank
from autocompress.data.patches import PatchSampler
from autocompress.errors import InvalidInput
from autocompress.families import family_of
from autocompress.families.base import Config, Shrinker, SRNetwork

INITS = ("projection", "copy", "taylor", "scratch")
NUM_PATCHES = 96
PATCH_SIZE = 48  # LR pixels


def shrinker(teacher: SRNetwork, patches: Tensor, init: str = "projection", seed: int = 0) -> Shrinker:
    """What makes students of `teacher`; all that depends on the teacher and the patches alone is computed here, once.

    `patches` are LR images (B, 3, h, w) in [0, 1]. `init` says how: `projection` keeps the best subspace of the
    features and refits by least squares; `copy` keeps the channels with the largest coupled weight norm; `taylor`
    those with the largest first-order effect on the output; `scratch` keeps nothing. Projected students of 8 features
    or more start above bicubic; narrower ones may not.
    """
    if init not in INITS:
        raise InvalidInput(f"init is {init!r}, but must be one of {', '.join(INITS)}")
    family = family_of(teacher)
    if init == "scratch":

        def from_scratch(config: Config) -> SRNetwork:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return family.build(config).eval()

        return from_scratch
    return family.shrinker(teacher, patches, init, seed)


def shrink(teacher: SRNetwork, config: Config, patches: Tensor, init: str = "projection", seed: int = 0) -> SRNetwork:
    """One student of `teacher`, dense, in eval mode; see `shrinker`. The teacher is left as it is."""
    return shrinker(teacher, patches, init, seed)(config)


def sample_patches(bank: PixelBank, seed: int, arithmetic: Arithmetic) -> Tensor:
    """LR patches of a bank to shrink by: (NUM_PATCHES, 3, p, p) in [0, 1], at most PATCH_SIZE a side."""
    size = min(PATCH_SIZE, int(bank.heights.min()), int(bank.widths.min()))
    sampler = PatchSampler(bank, patch_size=size, batch_size=NUM_PATCHES, seed=seed, device=arithmetic.device)
    return sampler.sample().lr
