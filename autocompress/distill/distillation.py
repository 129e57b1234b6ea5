"""The whole training of one network, from images to a file: of a student, and of a teacher."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.embedded import embedded
from autocompress.data.folders import open_folder
from autocompress.data.patches import PatchSampler
from autocompress.data.sources import ImagePair, ImageSource
from autocompress.distill.checkpointed_training import Checkpoints, Pace
from autocompress.distill.learning_curve import LearningCurve, Points, summary
from autocompress.distill.recipe import Recipe
from autocompress.distill.targets import OnTile, teacher_targets
from autocompress.distill.training import Training
from autocompress.errors import InvalidInput
from autocompress.evaluation.records import MOST_TO_TEACHER, Scores
from autocompress.evaluation.scores import MIN_SIDE, OnImage, check_finite, evaluate, network_upscaler, pairs
from autocompress.io import atomic, checkpoints
from autocompress.io.outputs import check_weights_file
from autocompress.networks import describe, family_of
from autocompress.networks.base import SRNetwork
from autocompress.networks.upscaling import has_finite_outputs
from autocompress.networks.weights import digest
from autocompress.progress import one_by_one, tell_if_long, watched
from autocompress.units import decibels, format_duration, quantity

REUSE = 4  # how often a training sees a pixel at least, where it takes windows of the images
FEWEST_PIXELS, MOST_PIXELS = 100 * 10**6, 256 * 10**6  # HR, that a training takes of larger sets
VALID_PIXELS = 4 * 10**6  # HR, that a learning curve is scored on
LOG_EVERY = 10.0  # seconds


@dataclass(frozen=True)
class TrainingTask:
    """A network to train, with its images and its target (None: it learns from the ground truth alone).

    `described` says how the network began (its teacher, its init, ...): it identifies the training and goes into the
    side file. If there are `valid` images, the network is scored on them at its end, and on the way on up to
    VALID_PIXELS of them.
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
        elif self.source.lr_alone:
            raise InvalidInput(
                "without HR images (--lr only) there is nothing to learn but a target's images; give one"
            )


def check_scales(target: int, network: int) -> None:
    """Raise InvalidInput unless both upscale by the same factor."""
    if target != network:
        raise InvalidInput(f"the target upscales by {target}, but the network by {network}; give one of the same scale")


def open_training_images(
    folder: Path | None, scale: int, recipe: Recipe, most_pixels: int | None = None, lr: Sequence[str | Path] = ()
) -> ImageSource:
    """Open a folder of training images; by default the embedded photographs.

    Of images with more than `most_pixels` HR pixels together a window each is taken. None: as many as the training sees
    REUSE times, but from FEWEST_PIXELS to MOST_PIXELS. So the target runs for minutes, not hours, and memory and cache
    are bounded (benchmarks/RESULTS.md).
    """
    if folder is None:
        return embedded("train", scale)
    patch = recipe.patch_size * scale
    if most_pixels is None:
        most_pixels = recipe.steps * recipe.batch_size * patch**2 // REUSE
        most_pixels = min(max(most_pixels, FEWEST_PIXELS), MOST_PIXELS)
    return open_folder(folder, scale, min_size=patch, lr=lr).within(most_pixels, patch)


def open_validation_images(folder: Path | None, scale: int, lr: Sequence[str | Path] = ()) -> ImageSource:
    """Open a folder of images to score on, on the way; by default the embedded photographs."""
    return embedded("valid", scale) if folder is None else open_folder(folder, scale, min_size=MIN_SIDE, lr=lr)


def state_file(out: Path) -> Path:
    """Where the state of a training is while it goes on."""
    return out.with_suffix(".state")


def train_to_file(
    task: TrainingTask,
    out: Path,
    precision: Precision,
    log: Callable[[str], None],
    on_step: Callable[[int], None],
    on_curve: Callable[[Points], None] = lambda _: None,
    pace: Pace | None = None,
) -> SRNetwork:
    """Train, write `out` (safetensors) with a side file that says how it was made, and return the network.

    Until then a file beside `out`, `state_file(out)`, has what is needed to resume. `on_curve` is called with the
    learning curve whenever it has a point more, and at the end. Raises InvalidInput for what cannot be used.
    """
    pace = pace or Pace()
    check_weights_file(out)
    decoded = tell_if_long(log, "decoding the training images")
    recipe, bank, targets = task.recipe, PixelBank.open(task.source, on_image=decoded), {}
    log(f"{task.source.described}; {precision}")
    room = precision.has_room(2 * bank.hr.numel() + bank.lr.numel())
    if task.target is not None:
        target_network = task.target.to(precision.device).requires_grad_(False).eval()
        outputs = teacher_targets(target_network, bank, precision, _progress(log))
        targets["teacher"] = outputs.to(precision.device) if room else outputs
        bank = replace(bank, hr=targets["teacher"]) if task.source.lr_alone else bank
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
    if code_digest := family_of(task.start).code_digest:  # changed code trains another student
        identity |= {"code_digest": code_digest}
    state = state_file(out)
    training = Training(task.start, sampler, recipe, precision, task.target)
    curve = None if task.valid is None else _curve(training, task, task.valid, pace, log, on_curve)
    stored = Checkpoints(state, training, identity, curve)
    stored.load()
    if training.step:
        log(f"going on after {training.step} of {quantity(recipe.steps, 'step')}")
    stored.train(on_step, pace, log)
    trained = training.student
    if not has_finite_outputs(trained):
        training.check(math.nan)
    about: dict[str, Any] = {"metrics": {}}
    if task.valid is not None and curve is not None:
        scores = _scores(task, trained, _pairs(task, task.valid), _scored(task.valid, log))
        about = {"metrics": {task.valid.name: scores.mean}, "curve": curve.points}
        on_curve(curve.points)
        log(summary(curve.points))
    checkpoints.save_tensors(out, trained.state_dict())
    provenance = {
        **task.described,
        "trained_on": task.source.described,
        "target_digest": target,
        "recipe": recipe.to_dict(),
        "arithmetic": precision.to_dict(),
    }
    atomic.write_json(out.with_suffix(".json"), {**network, **about, "provenance": provenance})
    state.unlink()
    return trained


def _pairs(task: TrainingTask, source: ImageSource) -> Iterator[ImagePair]:
    """The pairs of a source; of LR images alone, HR is what the target makes of them."""
    return pairs(source, hr_by=None if task.target is None else network_upscaler(task.target))


def _scored(source: ImageSource, log: Callable[[str], None]) -> OnImage:
    """What tells how many images of a source are scored, where that takes long."""
    return one_by_one(tell_if_long(log, f"scoring on {source.name}"), len(source))


def _scores(
    task: TrainingTask, network: SRNetwork, valid: Iterable[ImagePair], on_image: OnImage | None = None
) -> Scores:
    most = MOST_TO_TEACHER if task.valid is not None and task.valid.lr_alone else math.inf
    return evaluate(network_upscaler(network), valid, network.scale, ["psnr_y"], on_image, most)


def _curve(
    training: Training,
    task: TrainingTask,
    source: ImageSource,
    pace: Pace,
    log: Callable[[str], None],
    on_curve: Callable[[Points], None],
) -> LearningCurve:
    """The curve of a training, on some or all pixels of a source, which are decoded now."""
    used = source.within(VALID_PIXELS, MIN_SIDE)
    valid = list(watched(_pairs(task, used), len(used), tell_if_long(log, f"decoding {used.name}")))

    def score(step: int) -> float:
        scores = _scores(task, training.student, valid, _scored(used, log))
        check_finite(scores)
        psnr = scores.mean["psnr_y"]
        log(f"{decibels(psnr)} dB after {quantity(step, 'step')}, on {used.described}")
        return psnr

    return LearningCurve(training.recipe.steps, score, on_curve, pace.scoring_share)


def _progress(log: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> OnTile:
    """What tells how far the target has come: at its first tile, and then every LOG_EVERY seconds."""
    told: list[tuple[int, float]] = []

    def report(done: int, total: int) -> None:
        now = clock()
        if not told:
            log(f"running the target on the training images, once: tile {done} of {total}")
            told.extend([(done, now)] * 2)
        elif now - told[1][1] >= LOG_EVERY:
            (first, start), told[1] = told[0], (done, now)
            left = format_duration((now - start) / (done - first) * (total - done))
            log(f"running the target: tile {done} of {total}, about {left} left")

    return report
