"""student.json of a trial: the student, how good it is and how it was made. Read and written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from autocompress.evaluation.records import TO_TEACHER, Scores, score_of
from autocompress.io import atomic
from autocompress.io.typed import checked, reading
from autocompress.search.run.config import shape_of

STUDENT = "student.json"  # is written last: a student is whole when it is there
WEIGHTS = "student.safetensors"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of a student's refinement: so many more steps, by a schedule of their own, from the best weights so far.

    `psnr_y` is what came out, in dB, by what chooses (see `score_of`); where that was no better, the weights were not
    `kept`. `scores` are the same on the way, by step of the piece. `ended` is in seconds since 1970.
    """

    steps: int
    seconds: float
    psnr_y: float
    kept: bool
    learning_rate: float
    ended: float
    scores: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Piece:
        """As student.json has it."""
        return cls(**{**content, "scores": {int(step): psnr for step, psnr in content.get("scores", {}).items()}})

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"scores": {str(step): psnr for step, psnr in self.scores.items()}}


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How a student was made. The first versions wrote less than this.

    `point` are its trial's parameters and `scores` its PSNR-Y in dB at rungs, by step: from these two a lost study is
    made again. `seconds` are by part of the work, without that of `refinements`. Where there are any,
    `metrics_of_search` are those before them, by which the search judges the student.
    """

    space: str | None = None
    teacher: str | None = None
    teacher_digest: str | None = None
    target: str | None = None
    target_digest: str | None = None
    init: str | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    point: Mapping[str, Any] | None = None
    scores: Mapping[int, float] | None = None
    psnr_y_before_training: float | None = None
    validation: Mapping[str, Any] | None = None  # the scores of bicubic and of the teacher
    trained_on: str | None = None
    scored_on: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    arithmetic: Mapping[str, Any] | None = None  # the precision's fields
    versions: Mapping[str, str] | None = None
    metrics_of_search: Mapping[str, float] | None = None
    refinements: tuple[Piece, ...] = ()

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Provenance:
        """As student.json has it."""
        known = {item.name: content[item.name] for item in fields(cls) if item.name in content}
        if "scores" in known:
            known["scores"] = {int(step): psnr for step, psnr in known["scores"].items()}
        known["refinements"] = tuple(Piece.from_dict(piece) for piece in known.get("refinements", ()))
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """For JSON, without what is not known."""
        content = {name: value for name, value in asdict(self).items() if value is not None}
        content["refinements"] = [piece.to_dict() for piece in self.refinements]
        if not self.refinements:
            del content["refinements"]
        if self.scores is not None:
            content["scores"] = {str(step): psnr for step, psnr in self.scores.items()}
        return content


@dataclass(frozen=True)
class StudentRecord:
    """A student: `config` is its network's, `flops` are at 1280x720, `metrics` are means over the validation images.

    `psnr_y_by_image` is its PSNR-Y in dB on each of these; None in files of the first versions.
    `psnr_y_to_teacher_by_image` is that to the teacher's images, where these choose. `weights` are the digests of the
    files of weights that it may belong to: one, or two while a refinement replaces them; none in older files.
    `pictures` are those of its pictures by the names of their files, one or two of each, too; none in older files.
    `network` is the student in a few words, as `networks.shape` has them; None in older files.
    """

    family: str
    config: Mapping[str, Any]
    scale: int | None  # None in files of the first versions
    flops: int
    params: int
    metrics: Mapping[str, float]
    provenance: Provenance
    latency_ms: float | None = None  # where latency is what counts
    psnr_y_by_image: Mapping[str, float] | None = None
    psnr_y_to_teacher_by_image: Mapping[str, float] | None = None
    weights: tuple[str, ...] = ()
    pictures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    network: str | None = None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> StudentRecord:
        """As student.json has it; KeyError where something is missing."""
        return cls(
            family=content["family"],
            config=content["config"],
            scale=content.get("scale"),
            flops=content["flops"],
            params=content["params"],
            metrics=content["metrics"],
            provenance=Provenance.from_dict(content.get("provenance", {})),
            latency_ms=content.get("latency_ms"),
            psnr_y_by_image=content.get("psnr_y_by_image"),
            psnr_y_to_teacher_by_image=content.get("psnr_y_to_teacher_by_image"),
            weights=tuple(content.get("weights", ())),
            pictures={name: tuple(digests) for name, digests in content.get("pictures", {}).items()},
            network=content.get("network"),
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        by_image = {name: getattr(self, name) for name in ("psnr_y_by_image", "psnr_y_to_teacher_by_image")}
        return {
            **({} if self.network is None else {"network": self.network}),
            "family": self.family,
            "config": dict(self.config),
            "scale": self.scale,
            "flops": self.flops,
            "params": self.params,
            **({} if self.latency_ms is None else {"latency_ms": self.latency_ms}),
            "metrics": dict(self.metrics),
            **{name: dict(scores) for name, scores in by_image.items() if scores is not None},
            **({"weights": list(self.weights)} if self.weights else {}),
            **({"pictures": {name: list(known) for name, known in self.pictures.items()}} if self.pictures else {}),
            "provenance": self.provenance.to_dict(),
        }

    @property
    def shape(self) -> str:
        """The student in a few words; where they are not written down, torch is imported to find them."""
        return self.network or shape_of(self.family, self.config)

    @property
    def cost(self) -> float:
        """What its PSNR is weighed against: its latency where that counts, else its FLOPs."""
        return float(self.flops if self.latency_ms is None else self.latency_ms)

    @property
    def judged(self) -> Mapping[str, float]:
        """The metrics by which the search judges it: those before any refinement."""
        return self.provenance.metrics_of_search or self.metrics

    @property
    def score(self) -> float:
        """What it is chosen by, in dB; see `score_of`."""
        return score_of(self.metrics)

    @property
    def score_by_image(self) -> Mapping[str, float] | None:
        """The same of each validation image; None where that was not kept."""
        to_teacher = self.psnr_y_to_teacher_by_image
        return self.psnr_y_by_image if to_teacher is None else to_teacher

    @property
    def objectives(self) -> list[float]:
        """The values of its trial: its score in dB, and cost."""
        return [score_of(self.judged), self.cost]

    @property
    def refined_steps(self) -> int:
        """The steps of all its pieces of refinement."""
        return sum(piece.steps for piece in self.provenance.refinements)

    def refined(self, piece: Piece, scores: Scores) -> StudentRecord:
        """The record after one more piece; the scores of what came out are its own where that was kept."""
        provenance = replace(
            self.provenance,
            metrics_of_search=self.judged,
            refinements=(*self.provenance.refinements, piece),
        )
        if not piece.kept:
            return replace(self, provenance=provenance)
        return replace(
            self,
            metrics=scores.mean,
            psnr_y_by_image=scores.by_image("psnr_y"),
            psnr_y_to_teacher_by_image=scores.by_image(TO_TEACHER) if TO_TEACHER in scores.mean else None,
            provenance=provenance,
        )


@dataclass(frozen=True)
class StoredStudent(StudentRecord):
    """One that is read from a run: with the number of its trial, and the file of its weights."""

    trial: int = 0
    file: Path = Path()


def write_student(folder: Path, student: StudentRecord) -> None:
    """Write student.json into the folder of its trial; its weights must be there already."""
    atomic.write_json(folder / STUDENT, student.to_dict())


def read_student(folder: Path) -> StoredStudent | None:
    """The student in a trial's folder; None if it is not written yet, RunError if it cannot be read."""
    file = folder / STUDENT
    if not file.is_file():
        return None
    with reading(file, "describes no student"):
        record = checked(StudentRecord.from_dict(atomic.read_json(file)))
        _ = record.judged["psnr_y"], record.metrics["psnr_y"]
    return StoredStudent(**vars(record), trial=int(folder.name), file=folder / WEIGHTS)
