"""TrialContext: what all trials of a search share, such as teachers and their outputs, images, and the precision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.patches import PatchSampler
from autocompress.data.sources import ImagePair
from autocompress.distill.training import Training
from autocompress.evaluation.metrics import psnr_y
from autocompress.evaluation.records import MOST_TO_TEACHER, TO_TEACHER, Scores, score_of
from autocompress.evaluation.scores import METRICS, Image, OnImage, Upscaler, evaluate
from autocompress.networks.base import Config, Family, Making, Shrinker, SRNetwork
from autocompress.search.run.crops import Pieces
from autocompress.search.space.joint_space import StudentSpace
from autocompress.search.space.search_space import Candidate
from autocompress.search.task import Task
from autocompress.search.timer import PhaseTimer
from autocompress.search.trial.quick_score import Estimate

BY_TILES = "psnr_y_by_tiles"  # of the references: what the estimate says of them


@dataclass(frozen=True)
class PreparedSpace:
    """What the trials of one student space share: its target's outputs, and the function that makes its students."""

    targets: Tensor  # (pixels, 3) uint8, of all training images
    shrink: Shrinker
    teacher: dict[str, float]  # its FLOPs, parameters and scores
    suggested: Config | None  # by the densities, where these are asked for


@dataclass(frozen=True)
class TrialContext:
    """A task with everything computed that its trials share; `prepare` makes it."""

    task: Task
    timer: PhaseTimer
    precision: Precision
    bank: PixelBank  # of the training images
    valid: Sequence[ImagePair]
    skipped: Mapping[str, str]  # images that cannot be used, each with the reason
    estimate: Estimate | None  # None where the validation images are small enough to be scored whole
    outputs: Mapping[str, Image] | None  # of the target on validation images, where students are compared with them
    bicubic: dict[str, float]  # its scores
    spaces: Mapping[str, PreparedSpace]
    crops: Pieces

    @property
    def teachers(self) -> dict[str, dict[str, float]]:
        """By student space: the teacher's FLOPs, parameters and scores."""
        return {name: prepared.teacher for name, prepared in self.spaces.items()}

    @property
    def best_student_space(self) -> StudentSpace:
        """The student space with the best teacher."""
        return best_space(self.task, self.spaces)

    @property
    def references(self) -> dict[str, dict[str, float]]:
        """What students are compared with: bicubic, and the best teacher."""
        return {"bicubic": self.bicubic, "teacher": self.spaces[self.best_student_space.name].teacher}

    @property
    def suggested(self) -> dict[str, Config]:
        """By student space, the config that pruning suggests; empty if pruning was not asked for."""
        suggestions = {name: prepared.suggested for name, prepared in self.spaces.items()}
        return {name: config for name, config in suggestions.items() if config is not None}

    def shrink(self, candidate: Candidate) -> Making:
        """The making of a candidate's student, as it is before training."""
        return self.spaces[candidate.space].shrink.steps(candidate.config)

    def family(self, candidate: Candidate) -> Family:
        """The family of a candidate's student."""
        return self.task.joint_space[candidate.space].family

    def training(self, student: SRNetwork, candidate: Candidate) -> Training:
        """The training of a candidate's student, at its first step."""
        target = self.task.joint_space[candidate.space].target
        return Training(student, self.sampler(candidate), candidate.recipe, self.precision, target)

    def sampler(self, candidate: Candidate) -> PatchSampler:
        """The sampler of batches for a candidate's training."""
        recipe = candidate.recipe
        return PatchSampler(
            self.bank,
            patch_size=recipe.patch_size,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            targets={"teacher": self.spaces[candidate.space].targets},
            device=self.precision.device,
            memory_format=self.precision.memory_format,
        )

    def psnr_y(self, upscale: Upscaler) -> float:
        """An estimate of the mean PSNR-Y that students are chosen by, on the validation images: exact for small ones.

        Students rank by it as by the full score (benchmarks/default_search.py); so that it reads like one, it is scaled
        to be right for bicubic and for the (best) teacher.
        """
        if self.estimate is None:
            return score_of(self.score(upscale, ["psnr_y"]).mean)
        if self.outputs is not None:  # right for bicubic alone: the teacher is infinitely near to itself
            difference = self.estimate.psnr_y(upscale) - self.bicubic[BY_TILES]
            return min(self.bicubic[TO_TEACHER] + difference, MOST_TO_TEACHER)
        references = self.references
        bicubic, teacher = references["bicubic"], references["teacher"]
        span = (teacher["psnr_y"] - bicubic["psnr_y"]) / (teacher[BY_TILES] - bicubic[BY_TILES])
        return bicubic["psnr_y"] + span * (self.estimate.psnr_y(upscale) - bicubic[BY_TILES])

    def score(
        self,
        upscale: Upscaler,
        metrics: Iterable[str] = tuple(METRICS),
        on_image: OnImage | None = None,
        pairs: Iterable[ImagePair] | None = None,
    ) -> Scores:
        """Score on the validation images, and where the teacher's images choose, by TO_TEACHER too.

        `pairs` are those of these images that are scored; None: all.
        """
        outputs, scale, near = self.outputs, self.task.scale, dict[str, float]()
        pairs = self.valid if pairs is None else pairs
        if outputs is None:
            return evaluate(upscale, pairs, scale, metrics, on_image)

        def compare(image: str, sr: Image) -> None:
            near[image] = min(psnr_y(sr, outputs[image], border=scale), MOST_TO_TEACHER)
            if on_image is not None:
                on_image(image, sr)

        scores = evaluate(upscale, pairs, scale, metrics, compare, MOST_TO_TEACHER)
        return Scores({image: row | {TO_TEACHER: near[image]} for image, row in scores.images.items()})


def best_space(task: Task, spaces: Mapping[str, PreparedSpace]) -> StudentSpace:
    """The student space whose teacher has the best PSNR-Y; of equal ones the first."""
    return task.joint_space[max(spaces, key=lambda name: spaces[name].teacher["psnr_y"])]
