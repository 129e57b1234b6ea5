"""From a trained teacher to a smaller, dense student that already computes nearly the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from autocompress.compute.memory import aligned, has_aligned_weights, open_mapped, save_mappable
from autocompress.compute.precision import Precision, exact
from autocompress.data.bank import PixelBank
from autocompress.data.patches import PatchSampler
from autocompress.errors import InvalidInput
from autocompress.io import cache
from autocompress.networks import family_of, in_words
from autocompress.networks.base import Config, Family, Making, Shrinker, SRNetwork
from autocompress.networks.weights import digest, with_weights
from autocompress.progress import OnDone, untold
from autocompress.shrink.init import Init

NUM_PATCHES = 96
PATCH_SIZE = 32  # LR pixels
FORMAT = 15  # goes into the cache key: raise it when what a family finds in a teacher changes


def shrinker(  # noqa: PLR0913 - what is beside the teacher and its patches is given by name
    teacher: SRNetwork,
    patches: Tensor,
    init: str = "projection",
    seed: int = 0,
    *,
    cached: bool = False,
    importance: Mapping[str, Tensor] | None = None,
    family: Family | None = None,
    report: OnDone = untold,
) -> Shrinker:
    """A function from a config to a student of `teacher`; what does not depend on the config is computed here, once.

    With `cached` that is kept in the user's cache (300 MB for 64 features), memory-mapped and shared by all processes.

    `patches` are LR images (B, 3, h, w) in [0, 1]. `init` says how: `projection` keeps the best subspace of the
    features and refits by least squares; `density` refits alike, but keeps the channels and blocks with the largest
    `importance` (of each weight, by parameter name; see `Pruned.importance`), which no other takes; `copy` keeps the
    channels that matter most to the output, as they are; `taylor` those with the largest first-order effect on its
    error; `scratch` keeps nothing. Projected students of 8 features or more start above bicubic; narrower ones may not.
    They are of the teacher's family, or of a `family` that takes any teacher. `report` is told how far that is.
    """
    if init not in list(Init):
        raise InvalidInput(f"init is {init!r}, but must be one of {', '.join(Init)}")
    family = family or family_of(teacher)
    family.check_init(init, teacher)
    if init == "scratch":

        def random(config: Config) -> Making:
            yield from ()  # at once
            return from_scratch(family, config, seed)

        return Shrinker(random)
    if (init == "density") != (importance is not None):
        raise InvalidInput(f"init is {init!r}, but an importance goes with density, and density with an importance")
    rule = "projection" if init == "density" else init
    find = _cached if cached else analyse
    analysis = find(teacher, patches, "taylor" if init == "taylor" else "projection", seed, family, report)
    if importance is not None:
        analysis = family.guided(teacher, analysis, importance)
    return shrinker_from(teacher, patches, rule, analysis, family)


def analyse(
    teacher: SRNetwork,
    patches: Tensor,
    rule: str = "projection",
    seed: int = 0,
    family: Family | None = None,
    report: OnDone = untold,
) -> dict[str, Tensor]:
    """What shrinking `teacher` by `rule` needs and any size of student shares; see `Family.analyse`."""
    with exact():
        return (family or family_of(teacher)).analyse(_in_aligned_memory(teacher), aligned(patches), rule, seed, report)


def shrinker_from(
    teacher: SRNetwork,
    patches: Tensor,
    rule: str,
    analysis: Mapping[str, Tensor],
    family: Family | None = None,
) -> Shrinker:
    """As `shrinker`, with the `analysis` that `Family.analyse` made by the same rule.

    Tensors that are not aligned are first copied into aligned memory, so that students depend on values alone.
    """
    teacher, patches = _in_aligned_memory(teacher), aligned(patches)
    with exact():
        analysis = {name: aligned(tensor) for name, tensor in analysis.items()}
        shrink = (family or family_of(teacher)).shrinker(teacher, patches, rule, analysis)

    return Shrinker(lambda config: _exactly(shrink.steps(config)))


def _exactly(making: Making) -> Making:
    """The same in `exact` arithmetic, which holds while it works and not while it waits."""
    while True:
        with exact():
            try:
                share = next(making)
            except StopIteration as end:
                student: SRNetwork = end.value
                return student
        yield share


def _in_aligned_memory(teacher: SRNetwork) -> SRNetwork:
    """The teacher itself, or an equal one if its weights are not in aligned memory."""
    if has_aligned_weights(teacher):
        return teacher
    return with_weights(family_of(teacher), teacher.config, teacher.state_dict())


def from_scratch(family: Family, config: Config, seed: int) -> SRNetwork:
    """A network of random weights, in eval mode; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return family.build(config).eval()


def _cached(
    teacher: SRNetwork, patches: Tensor, init: str, seed: int, family: Family, report: OnDone
) -> dict[str, Tensor]:
    seen = hashlib.blake2b(patches.cpu().numpy().tobytes(), digest_size=16).hexdigest()

    def build(folder: Path) -> None:
        save_mappable(folder, analyse(teacher, patches, init, seed, family, report))

    rule = init if family.name == teacher.family else f"{init}-{family.name}"
    about = f"{in_words(teacher)}, by {rule}"
    folder = cache.entry("analyses", f"{digest(teacher)}-{seen}-{rule}-{seed}-{FORMAT}", build, about=about)
    return {name: tensor.to(patches.device) for name, tensor in open_mapped(folder).items()}


def shrink(teacher: SRNetwork, config: Config, patches: Tensor, init: str = "projection", seed: int = 0) -> SRNetwork:
    """One student of `teacher`, dense, in eval mode; see `shrinker`. The teacher is left as it is."""
    return shrinker(teacher, patches, init, seed)(config)


def sample_patches(bank: PixelBank, seed: int, precision: Precision, size: int = PATCH_SIZE) -> Tensor:
    """LR patches of a bank for `shrinker`: (NUM_PATCHES, 3, p, p) in [0, 1], p being `size` or what images have."""
    size = min(size, int(bank.heights.min()), int(bank.widths.min()))
    sampler = PatchSampler(bank, patch_size=size, batch_size=NUM_PATCHES, seed=seed, device=precision.device)
    return sampler.sample().lr
