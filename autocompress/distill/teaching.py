"""A whole training of one network, from images to a file: how teachers are made, and single students."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.embedded import embedded
from autocompress.data.patches import PatchSampler
from autocompress.data.sources import ImageSource, open_folder
from autocompress.distill import course
from autocompress.distill.recipe import Recipe
from autocompress.distill.targets import teacher_targets
from autocompress.distill.training import Training
from autocompress.errors import InvalidInput
from autocompress.evaluation.scores import check_finite, evaluate, network_upscaler, pairs
from autocompress.io import checkpoints
from autocompress.networks import describe
from autocompress.networks.base import SRNetwork, digest


@dataclass(frozen=True)
class Lesson:
    """What is trained on what: a network's start, images, and, unless it learns from the truth alone, a target.

    `described` are facts of the start that tell one lesson from another, and go into the side file. On the images of
    `valid`, where there are some, the network is scored on the way.
    """

    start: SRNetwork
    source: ImageSource
    target: SRNetwork | None
    recipe: Recipe
    described: dict[str, Any] = field(default_factory=dict)
    valid: ImageSource | None = None

    def __post_init__(self) -> None:
        if self.target is not None:
            check_scales(self.target.scale, self.start.scale)


def check_scales(target: int, network: int) -> None:
    """Raises InvalidInput where one cannot teach the other."""
    if target != network:
        raise InvalidInput(f"the target upscales by {target}, but the network by {network}; give one of the same scale")


def open_training_images(folder: Path | None, scale: int, recipe: Recipe) -> ImageSource:
    """A folder's, or the embedded photographs."""
    if folder is None:
        return embedded("train", scale)
    return open_folder(folder, scale, min_size=recipe.patch_size * scale)


def check_name(out: Path) -> None:
    """Raises InvalidInput unless it is a safetensors file's."""
    if out.suffix != ".safetensors":
        raise InvalidInput(f"{out}: a network is written as safetensors; give a name such as {out.stem}.safetensors")


def teach(
    lesson: Lesson, out: Path, used: Precision, log: Callable[[str], None], on_step: Callable[[int], None]
) -> SRNetwork:
    """Train, write `out` (safetensors) with a side file that says how it was made, and return the network.

    What it needs to go on after an end in the middle is beside `out`, as .state, until then. Raises InvalidInput for
    what cannot be used.
    """
    check_name(out)
    recipe, bank, targets = lesson.recipe, PixelBank.open(lesson.source), {}
    log(f"{len(bank)} images of {lesson.source.name}; {used}")
    room = used.has_room(2 * bank.hr.numel() + bank.lr.numel())
    if lesson.target is not None:
        log("running the target on the training images")
        outputs = teacher_targets(lesson.target.to(used.device).requires_grad_(False).eval(), bank, used)
        targets["teacher"] = outputs.to(used.device) if room else outputs
    sampler = PatchSampler(
        bank.to(used.device) if room else bank,
        patch_size=recipe.patch_size,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        targets=targets,
        device=used.device,
        memory_format=used.memory_format,
    )
    network = describe(lesson.start)
    target = None if lesson.target is None else digest(lesson.target)
    identity = {**network, **lesson.described, "images": lesson.source.digest, "target_digest": target}
    state = out.with_suffix(".state")
    valid = [] if lesson.valid is None else list(pairs(lesson.valid))
    metrics: dict[str, dict[str, float]] = {}

    def score(trained: SRNetwork) -> None:
        if lesson.valid is not None:
            scores = evaluate(network_upscaler(trained), valid, trained.scale, ["psnr_y"])
            check_finite(scores)
            metrics[lesson.valid.name] = scores.mean
            log(f"{metrics[lesson.valid.name]['psnr_y']:.2f} dB on {len(valid)} images of {lesson.valid.name}")

    training = Training(lesson.start, sampler, recipe, used, lesson.target)
    trained = course.finish(training, state, identity, on_step, score)
    if not metrics:  # it was broken off after its last step
        score(trained)
    checkpoints.save_tensors(out, trained.state_dict())
    provenance = {
        **lesson.described,
        "trained_on": f"{len(bank)} images of {lesson.source.name}",
        "target_digest": target,
        "recipe": recipe.to_dict(),
        "arithmetic": used.to_dict(),
    }
    checkpoints.write_json(out.with_suffix(".json"), {**network, "metrics": metrics, "provenance": provenance})
    state.unlink()
    return trained
