"""What all trials of a search share: the teacher and what it computed, the images, the precision."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from autocompress import prune
from autocompress.compute import precision as precision_module
from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.patches import PatchSampler
from autocompress.data.sources import ImagePair
from autocompress.distill.targets import teacher_targets
from autocompress.evaluation.scores import (
    METRICS,
    OnImage,
    Scores,
    Upscaler,
    bicubic_upscaler,
    check_finite,
    evaluate,
    network_upscaler,
)
from autocompress.io import cache, checkpoints
from autocompress.networks.base import Config, Family, Shrinker, SRNetwork
from autocompress.search.run.crops import Pieces, make_crops
from autocompress.search.space.joint_space import StudentSpace
from autocompress.search.space.search_space import Candidate
from autocompress.search.task import Task
from autocompress.search.timer import PhaseTimer
from autocompress.search.trial.quick_score import estimate_by_tiles

SCORES_FORMAT = 2  # goes into the cache key: raise it when metrics or networks compute something else
BY_TILES = "psnr_y_by_tiles"  # of the references: what the estimate says of them

OnStage = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """What the trials of one branch share: its target's outputs, and what makes its students."""

    targets: Tensor
    shrink: Shrinker
    cost_and_scores: dict[str, float]  # the teacher's
    suggested: Config | None  # by the densities, where these are asked for


class TrialContext:
    """A task with everything computed that its trials share."""

    def __init__(
        self,
        task: Task,
        on_stage: OnStage,
        precision: Precision | None = None,
        ledger: PhaseTimer | None = None,
        crops: Pieces | None = None,
    ) -> None:
        """`crops` are those that students are cut to, where they are chosen by now."""
        self.task = task
        self.ledger = ledger or PhaseTimer()
        self._on_stage = on_stage
        skip = task.settings.skip_bad_images
        with self._stage("decoding images"):
            self.bank = PixelBank.open(task.train, skip_bad_images=skip)
            valid = PixelBank.open(task.valid, skip_bad_images=skip)
        self.valid = _pairs(valid)
        self._valid_key = valid.key
        self.skipped = dict((*self.bank.skipped, *valid.skipped))
        with self._stage("choosing the arithmetic"):
            self.precision = precision or precision_module.choose()
            torch.set_num_threads(self.precision.threads)
        targets = {branch.target_digest: self._targets(branch) for branch in task.joint_space}
        if self.precision.has_room((1 + len(targets)) * self.bank.hr.numel() + self.bank.lr.numel()):
            self.bank = self.bank.to(self.precision.device)
            targets = {name: outputs.to(self.precision.device) for name, outputs in targets.items()}
        self._estimate = estimate_by_tiles(self.valid, task.scale)
        with self._stage("scoring teacher and bicubic"):
            bicubic = self._reference("bicubic", bicubic_upscaler(task.scale))
        self._prepared = {
            branch.name: self._prepare(branch, targets[branch.target_digest]) for branch in task.joint_space
        }
        teachers = {name: prepared.cost_and_scores for name, prepared in self._prepared.items()}
        best = max(teachers, key=lambda name: teachers[name]["psnr_y"])
        self.references = {"bicubic": bicubic, "teacher": teachers[best]}
        self.best_branch = task.joint_space[best]
        self.teachers = teachers
        with self._stage("cutting out crops"):
            self.crops = crops or self._make_crops()

    def _make_crops(self) -> Pieces:
        """Crops of the validation images, by the best teacher first."""
        branches = sorted(self.task.joint_space, key=lambda branch: branch is not self.best_branch)
        upscalers = {branch.teacher_digest: network_upscaler(self._placed(branch.teacher)) for branch in branches}
        return make_crops(self.valid, self._valid_key, self.task.scale, bicubic_upscaler(self.task.scale), upscalers)

    def _targets(self, branch: StudentSpace) -> Tensor:
        """The outputs of what a branch learns from, for all training images."""
        with self._stage("running the teacher on the training images"):
            network = self._placed(branch.target)
            on_tile = _every_tenth(self._on_stage, "running the teacher on the training images")
            return teacher_targets(network, self.bank, self.precision, on_tile)

    def _prepare(self, branch: StudentSpace, targets: Tensor) -> Prepared:
        teacher, settings = self._placed(branch.teacher), self.task.settings
        with self._stage("scoring teacher and bicubic"):
            scores = self._reference(branch.teacher_digest, network_upscaler(teacher))
        pruned = self._pruned(teacher) if settings.prune or settings.init == "density" else None
        importance = pruned.importance if pruned is not None and settings.init == "density" else None
        with self._stage("analysing the teacher"):
            patches = prune.sample_patches(self.bank, settings.seed, self.precision)
            shrink = prune.shrinker(teacher, patches, settings.init, settings.seed, cached=True, importance=importance)
        family, config = branch.family, teacher.config
        cost = {"flops": family.flops(config), "params": family.params(config)}
        suggested = pruned.suggested if pruned is not None and settings.prune else None
        return Prepared(targets, shrink, scores | cost, suggested)

    def _pruned(self, teacher: SRNetwork) -> prune.Pruned:
        with self._stage("pruning the teacher"):
            settings = prune.default_settings(teacher.family, self.task.settings.seed)
            report = _every_tenth(self._on_stage, "pruning the teacher")
            return prune.densities_of(
                teacher,
                self.bank,
                self.task.valid,
                settings,
                self.precision,
                lambda step: report(step, settings.steps),
                skip_bad_images=self.task.settings.skip_bad_images,
            )

    @property
    def suggested(self) -> dict[str, Config]:
        """What pruning suggests, by branch, where it was asked for."""
        found = {name: prepared.suggested for name, prepared in self._prepared.items()}
        return {name: config for name, config in found.items() if config is not None}

    def _placed(self, network: SRNetwork) -> SRNetwork:
        return network.to(self.precision.device).requires_grad_(False).eval()

    @contextmanager
    def _stage(self, what: str) -> Iterator[None]:
        self._on_stage(what)
        with self.ledger.during(what):
            yield

    def _reference(self, name: str, upscale: Upscaler) -> dict[str, float]:
        """The mean scores of what students are compared with, computed once for the same images."""

        def build(folder: Path) -> None:
            scores = self.score(upscale)
            check_finite(scores)
            by_tiles = {} if self._estimate is None else {BY_TILES: self._estimate.psnr_y(upscale)}
            checkpoints.write_json(folder / "scores.json", scores.mean | by_tiles)

        folder = cache.entry("scores", f"{name}-{self._valid_key}-{SCORES_FORMAT}", build)
        scores: dict[str, float] = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        return scores

    def shrink(self, candidate: Candidate) -> SRNetwork:
        """A candidate's student before training."""
        return self._prepared[candidate.space].shrink(candidate.config)

    def family(self, candidate: Candidate) -> Family:
        """Of a candidate's student."""
        return self.task.joint_space[candidate.space].family

    def target(self, candidate: Candidate) -> SRNetwork:
        """The network that a candidate's student learns from."""
        return self.task.joint_space[candidate.space].target

    def sampler(self, candidate: Candidate) -> PatchSampler:
        """Batches for a candidate's training."""
        recipe = candidate.recipe
        return PatchSampler(
            self.bank,
            patch_size=recipe.patch_size,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            targets={"teacher": self._prepared[candidate.space].targets},
            device=self.precision.device,
            memory_format=self.precision.memory_format,
        )

    def psnr_y(self, upscale: Upscaler) -> float:
        """An estimate of the mean PSNR-Y on the validation images: exact where they are small.

        Students rank by it as by the full score (benchmarks/default_search.py); so that it reads like one, it is scaled
        to be right for bicubic and for the (best) teacher.
        """
        if self._estimate is None:
            return self.score(upscale, ["psnr_y"]).mean["psnr_y"]
        bicubic, teacher = self.references["bicubic"], self.references["teacher"]
        span = (teacher["psnr_y"] - bicubic["psnr_y"]) / (teacher[BY_TILES] - bicubic[BY_TILES])
        return bicubic["psnr_y"] + span * (self._estimate.psnr_y(upscale) - bicubic[BY_TILES])

    def score(
        self, upscale: Upscaler, metrics: Iterable[str] = tuple(METRICS), on_image: OnImage | None = None
    ) -> Scores:
        """On the validation images."""
        return evaluate(upscale, self.valid, self.task.scale, metrics, on_image)


def _every_tenth(on_stage: OnStage, what: str) -> Callable[[int, int], None]:
    """Reports the progress of something ten times."""

    def report(done: int, total: int) -> None:
        if done * 10 // total > (done - 1) * 10 // total:
            on_stage(f"{what}: {done / total:.0%}")

    return report


def _pairs(bank: PixelBank) -> list[ImagePair]:
    return [ImagePair(name, bank.lr_image(i).numpy(), bank.hr_image(i).numpy()) for i, name in enumerate(bank.names)]
