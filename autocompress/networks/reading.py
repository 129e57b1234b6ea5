"""A network's config, told from the shapes of a file's tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn

from autocompress.errors import CheckpointError, ConfigError
from autocompress.networks.base import Config, Weights
from autocompress.networks.tails import SCALES
from autocompress.networks.weights import check_tensors

Known = TypeVar("Known", bound=Config)


@dataclass(frozen=True)
class Shapes:
    """Of tensors that look like a network that is called `named` in an error, such as "an EDSR"."""

    weights: Weights
    named: str

    @property
    def this(self) -> str:
        """The network in words."""
        return f"this {self.named.split(maxsplit=1)[1]}"

    def of(self, key: str, dimensions: int) -> tuple[int, ...]:
        """A tensor's shape; CheckpointError where it is missing or has other dimensions."""
        if key not in self.weights:
            raise CheckpointError(f"this looks like {self.named}, but {key} is missing")
        shape = tuple(self.weights[key].shape)
        if len(shape) != dimensions:
            raise CheckpointError(f"{key} is {shape}, but {self.named}'s has {dimensions} dimensions")
        return shape

    def indices(self, pattern: str) -> set[int]:
        """The numbers in the names that a pattern finds, as its only group."""
        return {int(match[1]) for key in self.weights if (match := re.match(pattern, key))}

    def count(self, pattern: str) -> int:
        """How many parts there are, by the largest of the `indices`."""
        return 1 + max(self.indices(pattern), default=-1)

    def features(self, key: str) -> int:
        """The channels that a network's first convolution makes; CheckpointError where it does not read RGB."""
        features, channels = self.of(key, 4)[:2]
        if channels != 3:
            raise CheckpointError(
                f"{self.this} reads {channels}-channel images, but only RGB (3 channels) is supported"
            )
        return features

    def scale(self, outputs: int) -> int:
        """By the convolutions of `upsample`, behind each of which a PixelShuffle leaves so many channels."""
        stages = sorted(self.indices(r"upsample\.(\d+)\.weight$"))
        first = self.of("upsample.0.weight", 4)
        shapes = [self.of(f"upsample.{stage}.weight", 4) for stage in stages]
        scale = math.sqrt(first[0] / outputs) ** len(shapes) if outputs else 0
        if scale not in SCALES:
            listed = ", ".join(map(str, shapes))
            raise CheckpointError(
                f"{self.this} upsamples with convolutions of shape {listed}, which is no x2, x3 or x4"
            )
        return int(scale)


def read(
    weights: Weights,
    named: str,
    infer: Callable[[Shapes], Known],
    build: Callable[[Known], nn.Module],
    describe: Callable[[Known], str],
) -> tuple[Known, dict[str, Tensor]]:
    """The config that `infer` finds, and the weights; `describe` says it in words, behind `named`.

    Raises CheckpointError where no network has such a config, or its tensors differ from what `build` makes.
    """
    try:
        config = infer(Shapes(weights, named))
    except ConfigError as error:
        raise CheckpointError(f"this looks like {named}, but its {error}") from None
    check_tensors(lambda: build(config), weights, f"{named} {describe(config)} at x{config.scale}")
    return config, dict(weights)
