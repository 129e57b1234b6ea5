"""Training a network from scratch: how teachers are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from autocompress import arithmetic, checkpoints
from autocompress.data.bank import PixelBank
from autocompress.data.embedded import embedded
from autocompress.data.patches import PatchSampler
from autocompress.data.sources import open_folder
from autocompress.distill import course
from autocompress.distill.recipe import Recipe
from autocompress.distill.targets import teacher_targets
from autocompress.distill.training import Training
from autocompress.errors import InvalidInput
from autocompress.families import find_family
from autocompress.families.base import Config, digest
from autocompress.teachers import load_teacher


@dataclass(frozen=True)
class Lesson:
    """What is trained on what.

    `train` is a folder of HR images, or None for the embedded photographs; `target`: see `load_teacher`.
    """

    family: str
    config: Config
    train: Path | None
    target: str | None
    recipe: Recipe


def teach(lesson: Lesson, out: Path, log: Callable[[str], None], on_step: Callable[[int], None]) -> None:
    """Train, and write `out` (safetensors) with a side file that says how it was made.

    What it needs to go on after an end in the middle is in `out`.state until then. Raises InvalidInput for what
    cannot be used.
    """
    if out.suffix != ".safetensors":
        raise InvalidInput(f"{out}: a network is written as safetensors; give a name such as {out.stem}.safetensors")
    family, recipe, scale = find_family(lesson.family), lesson.recipe, lesson.config.scale
    source = (
        embedded("train", scale)
        if lesson.train is None
        else open_folder(lesson.train, scale, min_size=recipe.patch_size * scale)
    )
    target = None if lesson.target is None else load_teacher(lesson.target)
    if target is not None and target.scale != scale:
        raise InvalidInput(f"the target {lesson.target} upscales by {target.scale}, but the network by {scale}")
    used = arithmetic.choose()
    bank, targets = PixelBank.open(source), {}
    log(f"{len(bank)} images of {source.name}; {used}")
    room = used.has_room(2 * bank.hr.numel() + bank.lr.numel())
    if target is not None:
        log(f"running {lesson.target} on the training images")
        outputs = teacher_targets(target.to(used.device).eval(), bank, used)
        targets["teacher"] = outputs.to(used.device) if room else outputs
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = family.build(lesson.config)
    sampler = PatchSampler(
        bank.to(used.device) if room else bank,
        patch_size=recipe.patch_size,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        targets=targets,
        device=used.device,
        memory_format=used.memory_format,
    )
    identity = {
        "family": lesson.family,
        "config": lesson.config.to_dict(),
        "images": source.digest,
        "target": None if target is None else digest(target),
    }
    state = out.with_suffix(".state")
    network = course.finish(Training(network, sampler, recipe, used), state, identity, on_step)
    checkpoints.save_tensors(out, network.state_dict())
    about = {
        "family": lesson.family,
        "config": lesson.config.to_dict(),
        "scale": scale,
        "flops": family.flops(lesson.config),
        "params": family.params(lesson.config),
        "metrics": {},
        "provenance": {
            "trained_on": f"{len(bank)} images of {source.name}",
            "target": lesson.target,
            "recipe": recipe.to_dict(),
            "arithmetic": used.to_dict(),
        },
    }
    checkpoints.write_json(out.with_suffix(".json"), about)
    state.unlink()
