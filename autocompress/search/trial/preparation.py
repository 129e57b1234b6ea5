"""Preparing what all trials of a task share: images are decoded, teachers are run, scored, pruned and analysed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from autocompress import prune
from autocompress.compute import probing
from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.sources import ImagePair, ImageSource
from autocompress.distill.targets import teacher_targets
from autocompress.evaluation.records import MOST_TO_TEACHER, TO_TEACHER
from autocompress.evaluation.scores import Image, Upscaler, bicubic_upscaler, check_finite, evaluate, network_upscaler
from autocompress.io import atomic, cache
from autocompress.networks.base import SRNetwork
from autocompress.progress import OnDone, one_by_one, tell_tenths, untold
from autocompress.search.run.crops import IMAGES, Pieces, make_crops
from autocompress.search.settings import Score
from autocompress.search.space.joint_space import StudentSpace
from autocompress.search.task import Task
from autocompress.search.timer import PhaseTimer
from autocompress.search.trial.context import BY_TILES, PreparedSpace, TrialContext, best_space
from autocompress.search.trial.quick_score import Estimate, estimate_by_tiles
from autocompress.units import quantity

SCORES_FORMAT = 2  # goes into the cache key: raise it when metrics or networks compute something else
BICUBIC = "bicubic"

OnStage = Callable[[str], None]


def prepare(
    task: Task,
    on_stage: OnStage = lambda _: None,
    *,
    precision: Precision | None = None,
    timer: PhaseTimer | None = None,
    crops: Pieces | None = None,
) -> TrialContext:
    """Compute what the trials of a task share; what was computed before comes from the cache.

    Without a `precision` the fastest one here is found by short probes. `crops` are those that the run has already, if
    any. Sets PyTorch's number of threads for this whole process. Raises DataError for images that cannot be used.
    """
    stages = _Stages(on_stage, timer or PhaseTimer())
    bank, valid_bank = _decode(task, stages)
    precision = _use_precision(precision, stages)
    targets = {space.target_digest: _run_target(space, bank, precision, stages) for space in task.joint_space}
    upscalers: dict[str, Upscaler] = {BICUBIC: bicubic_upscaler(task.scale)}
    for space in task.joint_space:
        upscalers[space.teacher_digest] = _Remembering(network_upscaler(_on_device(space.teacher, precision)))
    by_teacher = _scorer_by_teacher(task, valid_bank, precision, upscalers, stages)
    valid: Sequence[ImagePair] = _pairs(valid_bank)
    scorer = _Scorer(task.scale, valid, valid_bank.key, _estimate(valid, task.scale, stages), upscalers)
    if task.settings.lr_alone and by_teacher is not None:  # the only target's outputs stand for HR
        (only,) = targets.values()
        bank, valid, scorer = replace(bank, hr=only), by_teacher.pairs, by_teacher
    bank, targets = _place(bank, targets, precision)
    with stages("scoring bicubic"):
        bicubic = scorer.scores_of(BICUBIC, stages.tenths("scoring bicubic"))
        if by_teacher is not None:
            report = stages.tenths("scoring bicubic by the teacher's images")
            found = by_teacher.scores_of(BICUBIC, report)
            bicubic |= {BY_TILES: found[BY_TILES]} if BY_TILES in found else {}
            bicubic[TO_TEACHER] = found["psnr_y"]
    spaces = {
        space.name: _prepare_space(task, space, bank, targets[space.target_digest], precision, scorer, stages)
        for space in task.joint_space
    }
    with stages("cutting out crops"):
        report = stages.tenths("cutting out crops")
        crops = crops or _cut_crops(scorer, best_space(task, spaces).teacher_digest, report)
    skipped = dict((*bank.skipped, *valid_bank.skipped))
    estimate = scorer.estimate if by_teacher is None else by_teacher.estimate
    outputs = None if by_teacher is None else {pair.name: pair.hr for pair in by_teacher.pairs}
    return TrialContext(task, stages.timer, precision, bank, valid, skipped, estimate, outputs, bicubic, spaces, crops)


@dataclass(frozen=True)
class _Stages:
    """Reports each stage of the preparation, and times it."""

    on_stage: OnStage
    timer: PhaseTimer

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        self.on_stage(what)
        with self.timer.during(what):
            yield

    def tenths(self, what: str) -> OnDone:
        """A function that reports the progress of a stage at each tenth of it."""
        return tell_tenths(lambda share: self.on_stage(f"{what}: {share}"))


class _Remembering:
    """An upscaler that keeps what it makes of the first images: a teacher is scored on them, and then cut from."""

    def __init__(self, upscale: Upscaler) -> None:
        self._upscale = upscale
        self._made: list[tuple[Image, Image]] = []

    def __call__(self, lr: Image) -> Image:
        for known, sr in self._made:
            if known is lr:
                return sr
        sr = self._upscale(lr)
        if len(self._made) < IMAGES:
            self._made.append((lr, sr))
        return sr


@dataclass(frozen=True)
class _Scorer:
    """Scores bicubic and teachers, these by their digest, on the validation images; scores are cached."""

    scale: int
    pairs: Sequence[ImagePair]
    key: str  # of the images
    estimate: Estimate | None
    upscalers: Mapping[str, Upscaler]
    most: float = math.inf  # dB: a teacher equals its own outputs

    def scores_of(self, name: str, report: OnDone = untold) -> dict[str, float]:
        """The mean scores, and the estimate by tiles; raises DataError if an image has no finite score.

        `report` is told how many images are scored, of how many; the estimate counts as one.
        """

        def build(folder: Path) -> None:
            upscale, by_tiles = self.upscalers[name], dict[str, float]()
            done = one_by_one(report, len(self.pairs) + (self.estimate is not None))
            scores = evaluate(upscale, self.pairs, self.scale, on_image=done, most=self.most)
            check_finite(scores)
            if self.estimate is not None:
                by_tiles[BY_TILES] = min(self.estimate.psnr_y(upscale), self.most)
                done()
            atomic.write_json(folder / "scores.json", scores.mean | by_tiles)

        about = f"PSNR and SSIM on {quantity(len(self.pairs), 'image')}"
        folder = cache.entry("scores", f"{name}-{self.key}-{SCORES_FORMAT}", build, about=about)
        scores: dict[str, float] = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        return scores


def _scorer_by_teacher(
    task: Task, valid_bank: PixelBank, precision: Precision, upscalers: Mapping[str, Upscaler], stages: _Stages
) -> _Scorer | None:
    """A scorer with the target's output, in float32, in the place of HR; None where HR images choose."""
    if task.settings.score is not Score.TEACHER:
        return None
    space, what = next(iter(task.joint_space)), "running the teacher on the validation images"
    with stages(what):
        target = _on_device(space.target, precision)
        outputs = teacher_targets(target, valid_bank, replace(precision, dtype="float32"), stages.tenths(what))
    pairs = _pairs(replace(valid_bank, hr=outputs))
    key = f"{space.target_digest}-{valid_bank.key}"
    return _Scorer(task.scale, pairs, key, _estimate(pairs, task.scale, stages), upscalers, MOST_TO_TEACHER)


def _decode(task: Task, stages: _Stages) -> tuple[PixelBank, PixelBank]:
    """Decode the images for training and for validation."""

    def decode(source: ImageSource, what: str) -> PixelBank:
        with stages(what):
            return PixelBank.open(source, skip_bad_images=task.settings.skip_bad_images, on_image=stages.tenths(what))

    return decode(task.train, "decoding images"), decode(task.valid, "decoding validation images")


def _estimate(pairs: Sequence[ImagePair], scale: int, stages: _Stages) -> Estimate | None:
    what = "choosing tiles to score on the way"
    with stages(what):
        return estimate_by_tiles(pairs, scale, stages.tenths(what))


def _pairs(bank: PixelBank) -> list[ImagePair]:
    return [ImagePair(name, bank.lr_image(i).numpy(), bank.hr_image(i).numpy()) for i, name in enumerate(bank.names)]


def _use_precision(precision: Precision | None, stages: _Stages) -> Precision:
    with stages("choosing the arithmetic"):
        precision = precision or probing.choose(stages.tenths("choosing the arithmetic"))
        torch.set_num_threads(precision.threads)
        return precision


def _on_device(network: SRNetwork, precision: Precision) -> SRNetwork:
    return network.to(precision.device).requires_grad_(False).eval()


def _run_target(space: StudentSpace, bank: PixelBank, precision: Precision, stages: _Stages) -> Tensor:
    """The outputs of a space's target for all training images."""
    what = "running the teacher on the training images"
    with stages(what):
        return teacher_targets(_on_device(space.target, precision), bank, precision, stages.tenths(what))


def _place(bank: PixelBank, targets: dict[str, Tensor], precision: Precision) -> tuple[PixelBank, dict[str, Tensor]]:
    """Move images and targets to the device, if it has room for them."""
    if not precision.has_room((1 + len(targets)) * bank.hr.numel() + bank.lr.numel()):
        return bank, targets
    return bank.to(precision.device), {name: outputs.to(precision.device) for name, outputs in targets.items()}


def _prepare_space(
    task: Task,
    space: StudentSpace,
    bank: PixelBank,
    targets: Tensor,
    precision: Precision,
    scorer: _Scorer,
    stages: _Stages,
) -> PreparedSpace:
    """Score the teacher, prune it where that is asked for, and analyse it."""
    teacher, settings = _on_device(space.teacher, precision), task.settings
    with stages("scoring the teacher"):
        scores = scorer.scores_of(space.teacher_digest, stages.tenths("scoring the teacher"))
    pruned = _prune(task, teacher, bank, precision, stages) if settings.prune or settings.init == "density" else None
    importance = pruned.importance if pruned is not None and settings.init == "density" else None
    with stages("analysing the teacher"):
        patches = prune.sample_patches(bank, settings.seed, precision)
        shrink = prune.shrinker(
            teacher,
            patches,
            settings.init,
            settings.seed,
            cached=True,
            importance=importance,
            family=space.family,
            report=stages.tenths("analysing the teacher"),
        )
    theirs = space.teacher_family
    cost = {"flops": theirs.flops(teacher.config), "params": theirs.params(teacher.config)}
    suggested = pruned.suggested if pruned is not None and settings.prune else None
    return PreparedSpace(targets, shrink, scores | cost, suggested)


def _prune(task: Task, teacher: SRNetwork, bank: PixelBank, precision: Precision, stages: _Stages) -> prune.Pruned:
    what = "pruning the teacher"
    with stages(what):
        settings = prune.default_settings(teacher.family, task.settings.seed)
        report = stages.tenths(what)
        return prune.densities_of(
            teacher,
            bank,
            task.valid,
            settings,
            precision,
            lambda step: report(step, settings.steps),
            skip_bad_images=task.settings.skip_bad_images,
            on_score=stages.tenths("scoring the pruned teacher"),
        )


def _cut_crops(scorer: _Scorer, best: str, report: OnDone) -> Pieces:
    """Crops of the validation images, by the best teacher first, whose digest is given."""
    digests = sorted((name for name in scorer.upscalers if name != BICUBIC), key=lambda digest: digest != best)
    teachers = {digest: scorer.upscalers[digest] for digest in digests}
    return make_crops(scorer.pairs, scorer.key, scorer.scale, scorer.upscalers[BICUBIC], teachers, report)
