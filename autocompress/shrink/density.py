"""Densities of a pruned network's layers, and the rules by which every family reads a student's counts from them.

The paper (Jiang et al. 2024, section 2.1) reads the counts of a student off the densities by eye. The rule here:

- a repeated part (a residual block, a transformer layer) is left out if its density is below a quarter (`NEGLIGIBLE`)
  of the mean density of all parts of its kind;
- a layer whose inputs and outputs both shrink by a factor r keeps r^2 of its weights, so the number of channels is the
  teacher's times the square root of the density of the parts that stay.

The density of several layers is that of all their weights together, so a layer counts by its number of weights: the
student then has about as many weights in these layers as are left in the teacher's. The mean density of parts of one
kind is the plain mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from autocompress.shrink.parts import is_within

NEGLIGIBLE = 1 / 4


@dataclass(frozen=True)
class Density:
    """How many weights of a layer, or of a group of layers, are not zero, and how many there are."""

    weights: int
    nonzero: int

    @property
    def share(self) -> float:
        """The share of nonzero weights, from 0 to 1."""
        return self.nonzero / self.weights


Densities = Mapping[str, Density]  # of layers, or of groups of layers, by name


def joined(densities: Iterable[Density]) -> Density:
    """The density of all these weights together."""
    listed = list(densities)
    return Density(sum(density.weights for density in listed), sum(density.nonzero for density in listed))


def within(layers: Densities, *paths: str) -> list[Density]:
    """The densities of the layers that are these modules or in them."""
    return [density for name, density in layers.items() if any(is_within(name, path) for path in paths)]


def kept(parts: Sequence[Iterable[Density]]) -> list[int]:
    """The indices of the parts that are not negligible, of parts of one kind with these layers; at least one."""
    shares = [joined(layers).share for layers in parts]
    least = NEGLIGIBLE * sum(shares) / len(shares)
    return [index for index, share in enumerate(shares) if share >= least]


def channels(teacher: float, stays: Density) -> float:
    """The number of channels of a network with as many weights as `stays` has nonzero ones; not rounded."""
    return teacher * math.sqrt(stays.share)
