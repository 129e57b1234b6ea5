"""What evaluation finds, as it is written to files and read from them: scores, latencies, and what those were taken on.

What computes them is in `scores` and `latency`. Nothing here imports torch, so that a run is shown at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

METRIC_NAMES = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "psnr_y_edge")  # functions of `metrics`
MOST_TO_TEACHER = 100.0  # dB: what equals its teacher to 8 bits has infinitely many, which no mean or JSON holds
TO_TEACHER = "psnr_y_to_teacher"  # a metric beside these: PSNR-Y in dB, with a teacher's output in the place of HR
UNSTEADY = 0.1  # distance of the quartiles, as a share of the median, from which on other load on the machine is likely


@dataclass(frozen=True)
class Scores:
    """PSNR in dB and SSIM, on luma (`_y`) and on RGB: of each image, and their means.

    All leave a border of `scale` pixels out but `psnr_y_edge`, which is that of the border alone.
    """

    images: dict[str, dict[str, float]]

    @property
    def mean(self) -> dict[str, float]:
        """The mean of each metric over the images."""
        import numpy as np  # which only who has computed scores needs

        rows = list(self.images.values())
        return {metric: float(np.mean([row[metric] for row in rows])) for metric in rows[0]}

    def by_image(self, metric: str) -> dict[str, float]:
        """One metric of each image."""
        return {image: row[metric] for image, row in self.images.items()}


def score_of(metrics: Mapping[str, Any]) -> float:
    """What students are chosen by, in dB: PSNR-Y to the teacher's images where it was measured, else to HR images."""
    to_teacher: float | None = metrics.get(TO_TEACHER)
    score: float = metrics["psnr_y"] if to_teacher is None else to_teacher
    return score


@dataclass(frozen=True)
class Machine:
    """What networks are timed on: a processor, with the number of `threads` that a network may use, or a GPU."""

    name: str
    device: str
    threads: int = 1

    def __str__(self) -> str:
        return self.name if self.device == "cuda" else f"{self.name}, {self.threads} thread{'s' * (self.threads > 1)}"


@dataclass(frozen=True)
class Latency:
    """Milliseconds that one image takes: the median of `runs`, and the quartiles around it.

    `width` and `height` are the input's. `peak_memory` is in bytes, above what the process has with the network
    loaded; None where it cannot be told.
    """

    runtime: str
    version: str
    machine: Machine
    width: int
    height: int
    runs: int
    median: float
    quartiles: tuple[float, float]
    peak_memory: int | None = None
    dtype: str = "float32"

    @property
    def steady(self) -> bool:
        """Whether the runs took about the same time, as they do where nothing else runs."""
        lower, upper = self.quartiles
        return upper - lower <= UNSTEADY * self.median

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Latency:
        """The other way round than `to_dict`; KeyError or TypeError where something is missing."""
        machine, (lower, upper) = Machine(**content["machine"]), content["quartiles"]
        return cls(**{**content, "machine": machine, "quartiles": (lower, upper)})

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return asdict(self) | {"quartiles": list(self.quartiles)}
