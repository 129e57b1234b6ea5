"""What a family of networks offers to the rest of the package.

A family is the one place that knows an architecture. Everything else speaks to it through
`Family`, and to its networks through `SRNetwork`.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor, nn

from autocompress.errors import ConfigError, shown
from autocompress.io.package_files import Override
from autocompress.networks.recipes import FamilyRecipe, PaperNumbers
from autocompress.progress import OnDone, finished, untold
from autocompress.shrink.density import Densities

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

Weights = Mapping[str, Tensor]
Kind = TypeVar("Kind")
Picture = TypeVar("Picture", "Image.Image", "NDArray[np.uint8]")


@dataclass(frozen=True)
class Config:
    """Base of the families' configurations: plain numbers, hashable, checked when made."""

    scale: int

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"{field.name} is {value}, but must be a finite number")

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The configuration with these fields; a field that the family does not know is a ConfigError."""
        known = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(fields, Mapping):
            raise ConfigError(f"the config is {shown(fields)}, but must be a mapping of {', '.join(known)}")
        for key in fields:
            if key not in known:
                raise ConfigError(f"{cls.__name__} has no field {key!r}; its fields are {', '.join(known)}")
        plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
        return cls(**plain)


def narrowed(kind: type[Kind], value: object) -> Kind:
    """A config or a network that a family is given, as one of its own kind, which it is."""
    assert isinstance(value, kind)
    return value


def check_whole(name: str, value: object, low: int, high: int | None = None) -> None:
    """Raise ConfigError unless the field of this name is a whole number in these bounds."""
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or not low <= value <= (math.inf if high is None else high)
    ):
        bounds = f">= {low}" if high is None else f"from {low} to {high}"
        raise ConfigError(f"{name} is {value!r}, but must be a whole number {bounds}")


class SRNetwork(nn.Module, ABC):
    """A super-resolution network: (B, 3, H, W) in [0, 1] to (B, 3, scale*H, scale*W), any size.

    It computes features at LR, and upsamples them.
    """

    family: str
    layout = ""  # in words, how it lay in the file that it was read from
    made_by: Family | None = None  # its family, where that is not known by its name alone: see `registry.family_of`

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    @property
    def scale(self) -> int:
        """The factor between input and output size."""
        return self.config.scale

    @property
    def size_multiple(self) -> int:
        """Input sizes that need no padding are multiples of this."""
        return 1

    @property
    @abstractmethod
    def margin(self) -> int:
        """LR pixels around a tile that the network must also see, so that the tile looks as in the whole image.

        At least `size_multiple`, unless that is 1. Equal to the bit is best; a seam that 8 bits do not show is enough.
        """

    @abstractmethod
    def features(self, lr: Tensor) -> Tensor:
        """What is upsampled: (B, C, h, w) of images (B, 3, H, W) in [0, 1]; h and w are H and W, or padded."""

    @abstractmethod
    def upsampled(self, features: Tensor, height: int, width: int) -> Tensor:
        """The (B, 3, scale*height, scale*width) images that are made of them."""

    def forward(self, lr: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, 3, scale*H, scale*W)."""
        return self.upsampled(self.features(lr), *lr.shape[-2:])

    def upscale(self, image: Picture, tile: int | None = None) -> Picture:
        """Upscale a PIL image or a uint8 array (h, w[, 1 to 4]) to the same kind: see `data.pictures.upscaled_like`.

        It runs on the network's device, on tiles of `tile` LR pixels a side: see `networks.upscaling`.
        """
        from autocompress.data.pictures import upscaled_like
        from autocompress.networks.upscaling import network_upscaler

        return upscaled_like(image, network_upscaler(self, tile), self.scale)

    def exact(self) -> list[nn.Module]:
        """The layers that a training in bf16 computes in float32."""
        return []

    @abstractmethod
    def repeated(self) -> list[nn.Module]:
        """The parts that the network is a repetition of: what is compiled, once for all of them."""

    def __call__(self, lr: Tensor) -> Tensor:
        """Upscale (B, 3, H, W) images in [0, 1]."""
        sr: Tensor = super().__call__(lr)
        return sr


Making = Generator[float, None, SRNetwork]
"""The making of a student: yields the share of it that is done, from 0 to 1, and returns the student."""


@dataclass(frozen=True)
class Shrinker:
    """Makes the student of a configuration; what depends on the teacher alone is already computed.

    `steps` is for who shows or interrupts the making.
    """

    steps: Callable[[Config], Making]

    def __call__(self, config: Config, report: OnDone = untold) -> SRNetwork:
        """The student, in eval mode; `report` is told how far its making is."""
        return finished(self.steps(config), report)


@dataclass(frozen=True)
class Count:
    """What a search space may vary of a config (see `Family.counts_of`), from `low` up to the teacher's, or to `high`.

    A count, or a ratio where it is not `whole`. Where a space leaves out an `optional` one, students have the
    teacher's.
    """

    field: str
    low: float
    what: str
    whole: bool = True
    high: int | None = None
    optional: bool = False


@dataclass(frozen=True)
class Choice:
    """A field of a config that is one of a few words, which a search space may vary; the first one is the usual.

    Where a space leaves it out, students have the teacher's.
    """

    field: str
    words: tuple[str, ...]


class Family(ABC):
    """An architecture: how it is configured, built, counted, read and shrunk."""

    name: str
    config_class: ClassVar[type[Config]]
    network_class: ClassVar[type[SRNetwork]]
    counts: ClassVar[tuple[Count, ...]]
    choices: ClassVar[tuple[Choice, ...]] = ()
    # Fields of the config that no file of weights holds, so that a user may have to give them: see `load`.
    overrides: ClassVar[tuple[Override, ...]] = ()
    recipe: ClassVar[FamilyRecipe] = FamilyRecipe()
    presets: ClassVar[Mapping[str, Config]] = MappingProxyType({})  # networks that people know by a name
    code_digest: str = ""  # of the user's own code or program that builds its networks; "" where none does
    derives_space: ClassVar[bool] = False  # what varies follows from a teacher, so no search space ships
    any_teacher: ClassVar[bool] = False  # whether its students may be of a teacher of another family, too

    def check_init(self, init: str, teacher: SRNetwork) -> None:  # noqa: B027 - most families take all
        """Raise ConfigError where its students cannot begin in this way from this teacher."""

    def build(self, config: Config) -> SRNetwork:
        """A network with random weights (from torch's global generator)."""
        return self.network_class(config)

    def shapes(self, config: Config) -> Mapping[str, tuple[int, ...]]:
        """Of the parameters and buffers of a network, by their names in its state dict."""
        with torch.device("meta"):
            return {name: tuple(tensor.shape) for name, tensor in self.build(config).state_dict().items()}

    @abstractmethod
    def flops(self, config: Config) -> int:
        """Fused multiply-adds for a 1280x720 output, in closed form, equal to fvcore's count."""

    @abstractmethod
    def params(self, config: Config) -> int:
        """Number of parameters, in closed form."""

    @abstractmethod
    def read(self, tensors: Weights) -> tuple[Config, dict[str, Tensor]] | None:
        """Config and official weights from the tensors of any known file, or None if they are no such network.

        What no tensor tells has its usual value; what a user gave for one of the `overrides` is put in afterwards.

        Raises CheckpointError, saying what was found, when they look like this family but cannot be read.
        """

    def naming(self, tensors: Weights) -> str:
        """Whose names the tensors have that `read` takes, in words."""
        return "the official names"

    @abstractmethod
    def for_export(self, network: SRNetwork) -> SRNetwork:
        """An equal network whose every setting is in its tensors, so that official code computes the same."""

    def for_programs(self, network: SRNetwork) -> SRNetwork:
        """An equal network for files that hold its computation, and not its tensors alone: one of less work, if any."""
        return self.for_export(network)

    def program_flops(self, config: Config) -> int:
        """`flops` of what `for_programs` makes, but for what it has to do at the border of an image."""
        return self.flops(config)

    def official_tensors(self, network: SRNetwork) -> dict[str, Tensor]:
        """What official code stores for a network: its state dict, and any buffers that ours has no need to store."""
        return dict(network.state_dict())

    def official_code(self, config: Config) -> tuple[str, str] | None:
        """Python that imports, and that builds as `network`, what `for_export` gives, from official code.

        None where that has no such network.
        """
        return None

    @abstractmethod
    def analyse(
        self, teacher: SRNetwork, lr: Tensor, init: str, seed: int, report: OnDone = untold
    ) -> dict[str, Tensor]:
        """All that shrinking `teacher` by the rule `init` needs to know of it, seen on LR patches (B, 3, h, w).

        The patches are in [0, 1]. It is computed once and serves for students of any size.
        `report` is told how far it is.
        """

    @abstractmethod
    def shrinker(self, teacher: SRNetwork, lr: Tensor, init: str, analysis: Weights) -> Shrinker:
        """What makes students of `teacher` by the rule `init`, from the patches and what `analyse` found."""

    @abstractmethod
    def guided(self, teacher: SRNetwork, analysis: Weights, importance: Weights) -> dict[str, Tensor]:
        """What `analyse` found for projection, but with an importance of each weight to say what is kept.

        The channels, heads and parts with the largest sums stay, instead of the subspaces and parts that matter most to
        the output; layers are fitted by least squares as ever. `importance` is by names of the teacher's state dict.
        """

    def suggest(self, teacher: Config, layers: Densities) -> Config:
        """The student's config that the densities of a pruned teacher's layers suggest: see `shrink.density`."""
        return self.student_config(teacher, self.suggested_counts(teacher, layers))

    @abstractmethod
    def suggested_counts(self, teacher: Config, layers: Densities) -> dict[str, float]:
        """The `counts` of that config."""

    def paper_numbers(self) -> PaperNumbers:
        """Those of the `recipe`; ConfigError where the paper does not train this family."""
        if self.recipe.paper is None:
            raise ConfigError(f"the paper has no recipe for the family {self.name}; take the recipe ours")
        return self.recipe.paper

    def counts_of(self, config: Config) -> dict[str, float]:
        """The `counts` of a config by name, which are its fields unless a family says otherwise."""
        return {count.field: getattr(config, count.field) for count in self.counts}

    @property
    def varied(self) -> list[str]:
        """The names of the fields that a search space may vary: `counts`, then `choices`."""
        return [*(count.field for count in self.counts), *(choice.field for choice in self.choices)]

    @property
    def perhaps_varied(self) -> list[str]:
        """Names that `varied` is among, where it takes long to find: what else is asked for can be refused at once."""
        return self.varied

    def fields_of(self, config: Config) -> dict[str, float | str]:
        """The `counts` and `choices` of a config by name."""
        return {**self.counts_of(config), **{choice.field: getattr(config, choice.field) for choice in self.choices}}

    def values_of(self, count: Count) -> tuple[float, ...] | None:
        """The values of a count that its networks have, where these are known; None for all up to the teacher's."""
        return None

    def as_own(self, teacher: Config) -> Config:
        """The config of a teacher, or, of a teacher of another family, the family's usual one at its scale."""
        return teacher if isinstance(teacher, self.config_class) else self.config_class(teacher.scale)

    def limits(self, teacher: Config) -> dict[str, float]:
        """The most of each of the `counts` that a student of `teacher` may have, by name."""
        theirs = self.counts_of(teacher)
        return {count.field: theirs[count.field] if count.high is None else count.high for count in self.counts}

    def student_config(self, teacher: Config, fields: Mapping[str, Any]) -> Config:
        """The config of a student of `teacher` with these counts; one larger than its limit is a ConfigError."""
        config = dataclasses.replace(self.as_own(teacher), **fields)
        ours_by_name, limits = self.counts_of(config), self.limits(teacher)
        for count in self.counts:
            ours, high = ours_by_name[count.field], limits[count.field]
            if not count.low <= ours <= high:
                raise ConfigError(
                    f"{count.field} is {ours}, but a student of this teacher has {count.low} to {high} {count.what}"
                )
        return config
