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
    heads: int = 1  # of which each keeps channels of its own, as many as the others


@dataclass(frozen=True, eq=False)
class Use:
    """An axis along a dimension of a parameter: `rows` (size, k) are the k rows that belong to each channel.

    `heads` (k,) are the numbers of the heads that these are of, among those of the axis. `left` (k,) says which are
    summed over in a product with others, and stand on its left, as queries do.
    """

    axis: int
    rows: Tensor
    heads: Tensor
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
        groups = list(signatures.values())
        axis_of = {root: (axis, index) for axis, members in enumerate(groups) for index, root in enumerate(members)}
        found: list[dict[tuple[str, int], Tensor]] = [{} for _ in groups]  # of each axis: its rows (size, k) by place
        for place, members in roots.items():
            rows: dict[int, dict[int, list[int]]] = {}
            for row, root in enumerate(members):
                if root in axis_of:
                    axis, index = axis_of[root]
                    rows.setdefault(axis, {}).setdefault(index, []).append(row)
            for axis, by_index in rows.items():
                found[axis][place] = torch.tensor([by_index[index] for index in range(len(groups[axis]))])
        axes = []
        uses: dict[tuple[str, int], tuple[Use, ...]] = dict.fromkeys(roots, ())
        for axis, (members, along) in enumerate(zip(groups, found, strict=True)):
            numbers = {place: torch.tensor(classes.along[place])[own] for place, own in along.items()}
            heads = _heads_apart(torch.cat(list(numbers.values()), 1), classes)
            most = min(freedom.get(root, Freedom.MIX) for root in members)
            sides = {place: _sides(place, own, classes) for place, own in along.items()}
            if most is Freedom.PAIR:
                most = min(allowed for _, allowed in sides.values())
            axes.append(Axis(len(members), most, 1 + max(heads.values())))
            for place, own in along.items():
                of_columns = torch.tensor([heads[column] for column in _columns(numbers[place], classes)])
                uses[place] += (Use(axis, own, of_columns, sides[place][0]),)
        factors = {
            place: torch.tensor([classes.factors.get(number, 1.0) for number in ids])
            for place, ids in classes.along.items()
            if any(number in classes.factors for number in ids)
        }
        return cls(tuple(axes), uses, factors, reasons=classes.reasons, axis_of=axis_of)

    def heads_along(self, place: tuple[str, int]) -> int | None:
        """The number of the attention whose heads run along a dimension of a parameter."""
        return next((number for number, heads in enumerate(self.heads) if place in heads.rows), None)


def _columns(numbers: Tensor, classes: Classes) -> list[tuple[int, ...]]:
    """The columns of classes (size, k), as they were before heads were tied."""
    return [tuple(classes.apart[number] for number in column) for column in numbers.T.tolist()]


def _heads_apart(numbers: Tensor, classes: Classes) -> dict[tuple[int, ...], int]:
    """The number of the head that each column of classes (size, k) is; one for all where heads share some channels."""
    different = dict.fromkeys(_columns(numbers, classes))
    apart = all(len(set(row)) == len(different) for row in zip(*different, strict=True))
    return {column: index if apart else 0 for index, column in enumerate(different)}


def _sides(place: tuple[str, int], rows: Tensor, classes: Classes) -> tuple[Tensor, Freedom]:
    """Which columns of rows (size, k) products have on their left, and what may be done to those they sum over.

    What stands on both sides can only be rotated; of what is on neither, as a bias that is added later, whole channels
    stay, since nothing says whether it is mixed as what is on the left.
    """
    numbers = torch.tensor([classes.along[place], *classes.again.get(place, [])])[:, rows]  # (uses, size, k)
    left, right = (torch.isin(numbers, torch.tensor(sorted(side))) for side in (classes.left, classes.right))
    if not (left | right).all():
        return left[0, 0], Freedom.SELECT
    left, right = left.any(0), right.any(0)
    return left[0], Freedom.ROTATE if (left & right).any() else Freedom.PAIR


def fixed_parameters(channels: ChannelMap, parameters: Iterable[str]) -> list[str]:
    """The parameters of which no dimension can shrink."""
    return [name for name in parameters if not any(channels.uses.get((name, d)) for d in range(4))]
