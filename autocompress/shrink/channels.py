"""The axes of a network, read off its graph: channels of which a student has fewer, at all places alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from autocompress.shrink.classes import FIXED, NOTHING, Classes, Freedom
from autocompress.shrink.graph import Graph
from autocompress.shrink.heads import Heads, heads_of
from autocompress.shrink.propagation import propagate


@dataclass(frozen=True)
class Axis:
    """Channels of which a student has fewer, at all places alike."""

    size: int
    freedom: Freedom


@dataclass(frozen=True, eq=False)
class Use:
    """An axis along a dimension of a parameter: `rows` (size, k) are the k rows that belong to each channel.

    `left` (k,) says which of these are summed over in a product with others, and stand on its left, as queries do.
    """

    axis: int
    rows: Tensor
    left: Tensor


@dataclass(frozen=True, eq=False)
class ChannelMap:
    """The axes of a network, where they run along its parameters, and why the other channels stay.

    `uses` has a parameter's name and dimension as key; rows that are in none of its uses stay. `factors` are those of
    the rows (n,) of layers: what is multiplied by a number right behind a layer, as queries are by one that depends on
    a head's width. The heads of attention are known where they are asked for.
    """

    axes: tuple[Axis, ...]
    uses: Mapping[tuple[str, int], tuple[Use, ...]]
    factors: Mapping[tuple[str, int], Tensor] = field(default_factory=dict)
    heads: tuple[Heads, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)  # by parameter, for channels that stay
    axis_of: Mapping[int, tuple[int, int]] = field(default_factory=dict)  # axis and channel of a class' root

    @classmethod
    def of(cls, graph: Graph, with_heads: bool = False) -> ChannelMap:
        """The axes of a captured network, and the heads of its attention if they are asked for."""
        channels = cls.grouped(propagate(graph))
        return replace(channels, heads=heads_of(graph)) if with_heads else channels

    @classmethod
    def grouped(cls, classes: Classes) -> ChannelMap:
        """Classes that occur at the same places are one axis."""
        places: dict[int, list[tuple[str, int]]] = {}
        roots = {place: [classes.root(c) for c in ids] for place, ids in classes.along.items()}
        fixed = classes.root(FIXED)
        for place, members in roots.items():
            for root in members:
                if root not in (fixed, NOTHING):
                    places.setdefault(root, []).append(place)
        freedom = classes.freedoms()
        signatures: dict[tuple[tuple[str, int], ...], list[int]] = {}
        for root, signature in places.items():
            if freedom.get(root, Freedom.MIX) is not Freedom.FIXED:
                signatures.setdefault(tuple(signature), []).append(root)
        axis_of: dict[int, tuple[int, int]] = {}
        axes = []
        for number, members in enumerate(signatures.values()):
            axis_of |= {root: (number, index) for index, root in enumerate(members)}
            axes.append(Axis(len(members), min(freedom.get(root, Freedom.MIX) for root in members)))
        uses = {}
        for place, members in roots.items():
            rows: dict[int, dict[int, list[int]]] = {}
            for row, root in enumerate(members):
                if root in axis_of:
                    axis, index = axis_of[root]
                    rows.setdefault(axis, {}).setdefault(index, []).append(row)
            left = torch.tensor([number in classes.left for number in classes.along[place]])
            uses[place] = tuple(
                Use(axis, own := torch.tensor([by_index[index] for index in range(axes[axis].size)]), left[own[0]])
                for axis, by_index in rows.items()
            )
        factors = {
            place: torch.tensor([classes.factors.get(number, 1.0) for number in ids])
            for place, ids in classes.along.items()
            if any(number in classes.factors for number in ids)
        }
        return cls(tuple(axes), uses, factors, reasons=classes.reasons, axis_of=axis_of)

    def heads_along(self, place: tuple[str, int]) -> int | None:
        """The number of the attention whose heads run along a dimension of a parameter."""
        return next((number for number, heads in enumerate(self.heads) if place in heads.rows), None)


def fixed_parameters(channels: ChannelMap, parameters: Iterable[str]) -> list[str]:
    """The parameters of which no dimension can shrink."""
    return [name for name in parameters if not any(channels.uses.get((name, d)) for d in range(4))]
