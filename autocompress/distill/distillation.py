"""The whole training of one network, from images to a file: of a student, and of a teacher."""

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
from autocompress.distill.checkpointed_training import train_with_checkpoints
from autocompress.distill.recipe import Recipe
from autocompress.distill.targets import teacher_targets
from autocompress.distill.training import Training
from autocompress.errors import InvalidInput
from autocompress.evaluation.scores import check_finite, evaluate, network_upscaler, pairs
from autocompress.io import checkpoints
from autocompress.networks import describe
from autocompress.networks.base import SRNetwork
from autocompress.networks.weights import digest


@dataclass(frozen=True)
class TrainingTask:
    """A network to train, with its images and its target (None: it learns from the ground truth alone).

    `described` says how the network began (its teacher, its init, ...): it identifies the training and goes into the
    side file. If there are `valid` images, the network is scored on them during the training.
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
    """Raise InvalidInput unless both upscale by the same factor."""
    if target != network:
        raise InvalidInput(f"the target upscales by {target}, but the network by {network}; give one of the same scale")


def open_training_images(folder: Path | None, scale: int, recipe: Recipe) -> ImageSource:
    """Open a folder of training images; by default the embedded photographs."""
    if folder is None:
        return embedded("train", scale)
    return open_folder(folder, scale, min_size=recipe.patch_size * scale)


def check_out_file(out: Path) -> None:
    """Raise InvalidInput unless the file's name ends in .safetensors."""
    if out.suffix != ".safetensors":
        raise InvalidInput(f"{out}: a network is written as safetensors; give a name such as {out.stem}.safetensors")


def train_to_file(
    task: TrainingTask, out: Path, precision: Precision, log: Callable[[str], None], on_step: Callable[[int], None]
) -> SRNetwork:
    """Train, write `out` (safetensors) with a side file that says how it was made, and return the network.

    Until then a file beside `out`, with the suffix .state, has what is needed to resume. Raises InvalidInput for what
    cannot be used.
    """
    check_out_file(out)
    recipe, bank, targets = task.recipe, PixelBank.open(task.source), {}
    log(f"{len(bank)} images of {task.source.name}; {precision}")
    room = precision.has_room(2 * bank.hr.numel() + bank.lr.numel())
    if task.target is not None:
        log("running the target on the training images")
        outputs = teacher_targets(task.target.to(precision.device).requires_grad_(False).eval(), bank, precision)
        targets["teacher"] = outputs.to(precision.device) if room else outputs
    sampler = PatchSampler(
        bank.to(precision.device) if room else bank,
        patch_size=recipe.patch_size,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        targets=targets,
        device=precision.device,
        memory_format=precision.memory_format,
    )
    network = describe(task.start)
    target = None if task.target is None else digest(task.target)
    identity = {**network, **task.described, "images": task.source.digest, "target_digest": target}
    state = out.with_suffix(".state")
    valid = [] if task.valid is None else list(pairs(task.valid))
    metrics: dict[str, dict[str, float]] = {}

    def score(trained: SRNetwork) -> None:
        if task.valid is not None:
            scores = evaluate(network_upscaler(trained), valid, trained.scale, ["psnr_y"])
            check_finite(scores)
            metrics[task.valid.name] = scores.mean
            log(f"{metrics[task.valid.name]['psnr_y']:.2f} dB on {len(valid)} images of {task.valid.name}")

    training = Training(task.start, sampler, recipe, precision, task.target)
    trained = train_with_checkpoints(training, state, identity, on_step, score)
    if not metrics:  # it was interrupted between its last step and the scores
        score(trained)
    checkpoints.save_tensors(out, trained.state_dict())
    provenance = {
        **task.described,
        "trained_on": f"{len(bank)} images of {task.source.name}",
        "target_digest": target,
        "recipe": recipe.to_dict(),
        "arithmetic": precision.to_dict(),
    }
    checkpoints.write_json(out.with_suffix(".json"), {**network, "metrics": metrics, "provenance": provenance})
    state.unlink()
    return trained
