"""config.json of a run: what is searched, with what, and what students are compared with. Read and written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from autocompress.compute.precision import Precision
from autocompress.errors import cut
from autocompress.evaluation.records import MOST_TO_TEACHER, score_of
from autocompress.search.space.budget import Budget
from autocompress.units import images_in_words

if TYPE_CHECKING:
    from autocompress.data.sources import ImageSource

# of a reference, beside its scores
COSTS = ("flops", "params", "latency_ms")
MOST_DIGESTS = 5000  # images of a set whose hashes config.json has, each 20 bytes or so
FEW = 4  # images; so many photographs are embedded to choose by


@dataclass(frozen=True)
class SearchIdentity:
    """What must be the same for a search to go on in a run folder, but for the budget, which may be extended.

    `spaces` are by name: `family`, `parameters` with all their values, `defaults`, and the digests of `teacher` and
    `target`. `train` and `valid` are the digests of images. `machine` is only of a search for latency.
    """

    spaces: Mapping[str, Mapping[str, Any]]
    train: str
    valid: str
    budget: Budget
    recipe: Mapping[str, Any]
    init: str
    prune: bool
    sampler: str
    seed: int
    objective: str = "flops"
    machine: Mapping[str, Any] | None = None
    score: str = "truth"

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SearchIdentity:
        """As config.json has it; KeyError or TypeError where something is missing."""
        return cls(**{**content, "budget": Budget(**content["budget"])})

    @property
    def by_teacher(self) -> bool:
        """Whether PSNR to the teacher's images chooses, not that to HR images."""
        return self.score == "teacher"

    def to_dict(self) -> dict[str, Any]:
        """For config.json, where only a search for latency says what PSNR is weighed against.

        Likewise only one that chooses by PSNR to the teacher says so.
        """
        content = asdict(self)
        if not self.by_teacher:
            del content["score"]
        measured = {name: content.pop(name) for name in ("objective", "machine")}
        return content if self.machine is None else measured | content


@dataclass(frozen=True)
class Reference:
    """What students are compared with: its mean scores on the validation images, by metric."""

    scores: Mapping[str, float]

    @property
    def psnr_y(self) -> float:
        """In dB."""
        return self.scores["psnr_y"]

    @property
    def score(self) -> float:
        """What students are chosen by, in dB; see `score_of`."""
        return score_of(self.scores)

    @property
    def ssim_y(self) -> float:
        """From 0 to 1."""
        return self.scores["ssim_y"]

    def to_dict(self) -> dict[str, Any]:
        """Scores, and costs where it has some, side by side."""
        return dict(self.scores)


@dataclass(frozen=True)
class TeacherReference(Reference):
    """A teacher's scores and costs; its latency where that is what counts."""

    flops: int
    params: int
    latency_ms: float | None = None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TeacherReference:
        """As config.json has it; ValueError for one without any FLOPs, of which no student can have a share."""
        scores = _scores({name: score for name, score in content.items() if name not in COSTS})
        if content["flops"] == 0:
            raise ValueError("the teacher's flops are 0")
        return cls(scores, content["flops"], content["params"], content.get("latency_ms"))

    def to_dict(self) -> dict[str, Any]:
        """Its scores, costs and latency side by side."""
        latency = {} if self.latency_ms is None else {"latency_ms": self.latency_ms}
        return {**self.scores, "flops": self.flops, "params": self.params, **latency}


@dataclass(frozen=True)
class References:
    """Bicubic, and the teacher with the best PSNR-Y."""

    bicubic: Reference
    teacher: TeacherReference

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"bicubic": self.bicubic.to_dict(), "teacher": self.teacher.to_dict()}


def _scores(content: Mapping[str, float]) -> Mapping[str, float]:
    """Those of a config.json; KeyError where there is no PSNR-Y among them, which everything is compared by."""
    content["psnr_y"]
    return content


def shape_of(family: str, config: Mapping[str, Any]) -> str:
    """What `networks.shape` says, for files of older versions, which do not have it."""
    from autocompress.networks import shape

    return shape(family, config)


@dataclass(frozen=True)
class Teacher:
    """Which network it is; `name` is that of a shipped one, or a file.

    `network` is it in a few words, as `networks.shape` has them; older runs do not say.
    """

    name: str
    family: str
    config: Mapping[str, Any]
    network: str | None = None

    @property
    def shape(self) -> str:
        """It in a few words; where they are not written down, torch is imported to find them."""
        return self.network or shape_of(self.family, self.config)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class TaughtSpace:
    """What a space's students come from, how good that is, and the name of what they learn from."""

    teacher: Teacher
    reference: TeacherReference
    target: str

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TaughtSpace:
        """As config.json has it."""
        own = ("name", "family", "config", "network")
        teacher = Teacher(**{name: content["teacher"][name] for name in own if name in content["teacher"]})
        rest = {name: value for name, value in content["teacher"].items() if name not in own}
        return cls(teacher, TeacherReference.from_dict(rest), content["target"])

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"teacher": self.teacher.to_dict() | self.reference.to_dict(), "target": self.target}


@dataclass(frozen=True)
class ImageSet:
    """Images to train on or to validate on: where they are from, how many, and whether LR was read or made.

    `digests` are of each image by its name; none for more than MOST_DIGESTS images. Older runs have neither.
    """

    name: str
    images: int
    lr: str | None = None
    digests: Mapping[str, str] | None = None

    @property
    def are_few(self) -> bool:
        """Whether these are so few that choices by them are doubtful."""
        return self.images < FEW

    @classmethod
    def of(cls, source: ImageSource, images: int) -> ImageSet:
        """What is recorded of a source, of which so many images could be used."""
        return cls(source.name, images, source.lr_said, source.digests if len(source) <= MOST_DIGESTS else None)

    def changes(self, source: ImageSource) -> str:
        """Which images a source has otherwise, in words; empty where that was not recorded."""
        if self.digests is None:
            return ""
        before, now = self.digests, source.digests
        kinds = {
            "added": [name for name in now if name not in before],
            "gone": [name for name in before if name not in now],
            "changed": [name for name in now if before.get(name, now[name]) != now[name]],
        }
        told = [f"{_listed(names)} {kind}" for kind, names in kinds.items() if names]
        told += [f"{self.lr}, now {source.lr_said}"] if self.lr not in (None, source.lr_said) else []
        return "; ".join(told) or "the same images in another order, or cut otherwise"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        return images_in_words(self.images, self.name)


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(map(cut, names[:most]))}{more}"


@dataclass(frozen=True)
class RunConfig:
    """All of config.json.

    `settings` are those of the latest session that was started with `search`, `started_in` the folder that paths in
    them are relative to; `storage` is where the study is, its `url` without a password. Runs of the first versions have
    none of these three. `teacher` is the best one. `taught_spaces` are by the space's name. `machine` is what that
    session ran on, for people; older runs do not say.
    """

    search: SearchIdentity
    settings: Mapping[str, Any] | None
    started_in: str | None
    storage: Mapping[str, str | None] | None
    scale: int
    teacher: Teacher
    taught_spaces: Mapping[str, TaughtSpace]
    train: ImageSet
    valid: ImageSet
    skipped_images: Mapping[str, str]
    references: References
    precision: Precision
    versions: Mapping[str, str]
    machine: str | None = None

    @property
    def trials(self) -> int | None:
        """How many trials are wanted; None where that is not recorded."""
        wanted = None if self.settings is None else self.settings.get("trials")
        return wanted if isinstance(wanted, int) else None

    @property
    def has_no_truth(self) -> bool:
        """Whether there were no HR images, so that the teacher's stand for them: it has MOST_TO_TEACHER dB itself."""
        return self.search.by_teacher and self.references.teacher.psnr_y >= MOST_TO_TEACHER

    @property
    def teachers(self) -> dict[str, TeacherReference]:
        """All teachers by name."""
        return {space.teacher.name: space.reference for space in self.taught_spaces.values()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> RunConfig:
        """From what the file holds; KeyError or TypeError where that is not the config of a search."""
        references = content["references"]
        return cls(
            search=SearchIdentity.from_dict(content["search"]),
            settings=content.get("settings"),
            started_in=content.get("started_in"),
            storage=content.get("storage"),
            scale=content["scale"],
            teacher=Teacher(**content["teacher"]),
            taught_spaces={name: TaughtSpace.from_dict(space) for name, space in content["branches"].items()},
            train=ImageSet(**content["train"]),
            valid=ImageSet(**content["valid"]),
            skipped_images=content["skipped_images"],
            references=References(
                Reference(_scores(references["bicubic"])), TeacherReference.from_dict(references["teacher"])
            ),
            precision=Precision(**content["arithmetic"]),
            versions=content["versions"],
            machine=content.get("machine"),
        )

    def to_dict(self) -> dict[str, Any]:
        """For the file, under the names that its first version gave."""
        optional = {name: getattr(self, name) for name in ("settings", "started_in", "storage", "machine")}
        return {
            "search": self.search.to_dict(),
            **{name: value for name, value in optional.items() if value is not None},
            "scale": self.scale,
            "teacher": self.teacher.to_dict(),
            "branches": {name: space.to_dict() for name, space in self.taught_spaces.items()},
            "train": self.train.to_dict(),
            "valid": self.valid.to_dict(),
            "skipped_images": dict(self.skipped_images),
            "references": self.references.to_dict(),
            "arithmetic": self.precision.to_dict(),
            "versions": dict(self.versions),
        }
