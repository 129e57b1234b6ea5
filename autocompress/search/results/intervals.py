"""The intervals of a run: how far its students differ beyond noise. They are computed here; views only show them.

An interval is of the difference between two students, in dB of PSNR-Y. It holds what would be found on other images
like the validation images, after trainings with other seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autocompress.evaluation.intervals import LEVEL, Interval, SeedSpread, paired
from autocompress.evaluation.records import score_of
from autocompress.search.run.config import ImageSet
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.student import StoredStudent

# what holds where a run has no repeats: EDSR students of three sizes, after 300 steps on the default images
# (benchmarks/seeds.py)
TYPICAL_SPREAD = SeedSpread(sd=0.016, degrees=12)
MIN_DEGREES = 4  # of freedom: a spread from fewer is worth less than the typical one


def spread_of(repeats: Iterable[Sequence[float]]) -> tuple[SeedSpread, bool]:
    """The spread over seeds of repeated trainings, and whether they are enough; TYPICAL_SPREAD where they are not."""
    measured = SeedSpread.pooled(repeats)
    if measured is None or measured.degrees < MIN_DEGREES:
        return TYPICAL_SPREAD, False
    return measured, True


@dataclass(frozen=True)
class Intervals:
    """What the intervals of a run rest on: PSNR-Y in dB by trial and image, and the spread over seeds.

    `repeats` are, by trial, the mean PSNR-Y of students that were trained again, their own first. `seeds` is taken from
    these where they are `enough`; else it is TYPICAL_SPREAD, of other students.
    """

    scores: Mapping[int, Mapping[str, float]]
    valid: ImageSet
    seeds: SeedSpread
    repeats: Mapping[int, Sequence[float]]
    enough: bool

    @classmethod
    def of(cls, run: RunFolder, students: Iterable[StoredStudent]) -> Intervals:
        """Those of a run with these students."""
        scores, repeats = dict[int, Mapping[str, float]](), dict[int, Sequence[float]]()
        for student in students:
            if student.score_by_image is not None:
                scores[student.trial] = student.score_by_image
            if others := run.repeats(student.trial):
                repeats[student.trial] = [score_of(each.judged) for each in (student, *others)]
        seeds, enough = spread_of(repeats.values())
        return cls(scores, run.config.valid, seeds, repeats, enough)

    def between(self, trial: int, other: int) -> Interval | None:
        """How far one trial's student is above another's.

        None for a trial and itself, with a single image, and where scores were not kept by image.
        """
        first, second = self.scores.get(trial), self.scores.get(other)
        if trial == other or first is None or second is None or first.keys() != second.keys():
            return None
        return paired(first, second, self.seeds)

    @property
    def note(self) -> str:
        """For people, what the intervals hold, or why there are none."""
        images = self.valid.images
        if images == 1:
            return "No ±: the choice rests on one validation image; more (--val) would say how sure it is."
        if not self.scores:
            return "No ±: these students were scored by an older version, which did not keep scores by image."
        source = "typical of EDSR students; `search --repeats 3` measures it for these"
        if self.enough:
            trainings = sum(map(len, self.repeats.values()))
            source = f"measured in {trainings} trainings of {len(self.repeats)} of these students"
        few = f" All choices rest on these {images}; more (--val) would make them surer." if self.valid.are_few else ""
        return (
            f"± is the {LEVEL:.0%} interval of the difference to the pick: over {images} validation images, "
            f"compared one by one, and over seeds (a standard deviation of {self.seeds.sd:.3f} dB, {source}).{few}"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "level": LEVEL,
            "images": self.valid.images,
            "seeds_sd": self.seeds.sd,
            "seeds_measured_here": self.enough,
            "repeats": {str(trial): list(psnr) for trial, psnr in self.repeats.items()},
            "note": self.note,
        }
