"""Heads of attention, of which a student may have fewer.

A graph is run once more on classes. This time what meets in the products of one head is one class, so that a head's
queries, keys and values, what reads them, and its column in a table of positions are found by the operations again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from autocompress.shrink import operations
from autocompress.shrink.classes import FIXED, NOTHING, Classes, broadcast
from autocompress.shrink.graph import Graph, operation, shape
from autocompress.shrink.propagation import classes_by
from autocompress.shrink.rules import Operation

Place = tuple[str, int]  # a parameter and one of its dimensions
LARGEST_TABLE = 16_384  # elements of a constant that heads may run along; SwinIR's for windows of 16 has 5,766


@dataclass(frozen=True, eq=False)
class Heads:
    """The heads of one attention, and where they run along parameters: `rows` (heads, n) of each place."""

    count: int
    rows: Mapping[Place, Tensor]

    def of_rows(self, place: Place) -> Tensor:
        """The head (n,) of each row of a place up to the last of a head; -1 for a row of none."""
        numbers = torch.full((1 + int(self.rows[place].max()),), -1)
        for number, rows in enumerate(self.rows[place]):
            numbers[rows] = number
        return numbers


def heads_of(graph: Graph) -> tuple[Heads, ...]:
    """Of all attentions of a network with several heads, those that may be cut."""
    if not any(operation(node) in operations.MATRIX_PRODUCTS for node in graph.calls):
        return ()
    classes, constants = classes_by(_ByHeads, graph, _of_constant)
    along = {place: [classes.root(number) for number in ids] for place, ids in classes.along.items()}
    for name, ids in constants.items():
        roots = torch.tensor([classes.root(number) for number in ids.flatten().tolist()]).view(ids.shape)
        for dimension in range(ids.dim()):
            rows = roots.movedim(dimension, 0).flatten(1) if ids.dim() > 1 else roots[:, None]
            if (rows == rows[:, :1]).all():
                along[(name, dimension)] = rows[:, 0].tolist()
    counts = [Counter(classes.root(number) for number in heads) for heads in classes.heads]
    # each as often as the others, as where windows stand beside heads in one dimension
    found = dict.fromkeys(tuple(count) for count in counts if len(count) > 1 and len(set(count.values())) == 1)
    fixed = classes.root(FIXED)
    where: dict[int, dict[Place, list[int]]] = {}  # the rows of each place that are of a class
    for place, numbers in along.items():
        for row, root in enumerate(numbers):
            where.setdefault(root, {}).setdefault(place, []).append(row)
    made = []
    for roots_ in found:
        if fixed not in roots_:
            places = dict.fromkeys(place for root in roots_ for place in where.get(root, ()))
            rows_of = {place: [where.get(root, {}).get(place, []) for root in roots_] for place in places}
            if all(len(set(map(len, rows))) == 1 for rows in rows_of.values()):
                made.append(Heads(len(roots_), {place: torch.tensor(rows) for place, rows in rows_of.items()}))
    return tuple(made)


def _of_constant(tensor: Tensor, learned: bool, classes: Classes) -> Tensor:
    """A class for each value of a small parameter: heads may run along any of its dimensions."""
    if tensor.numel() == 1:
        return torch.full(tensor.shape, NOTHING)
    several = sum(size > 1 for size in tensor.shape) > 1
    if tensor.numel() > LARGEST_TABLE or (several and not learned):
        return torch.full(tensor.shape, FIXED)
    return classes.new(tensor.numel()).view(tensor.shape)


class _ByHeads(Operation):
    """One operation, run on classes of which a head has one."""

    @override
    def _multiplied(self) -> Tensor | list[Tensor]:
        """Matrices (..., n, k) and (..., k, m): all that has the same place in the dimensions before is one class."""
        tensors = [self._ids[argument] for argument in self._node.all_input_nodes]
        if any(isinstance(ids, list) or ids.dim() < 2 for ids in tensors):
            return self._unknown()
        heads = []
        for ids in tensors:
            assert isinstance(ids, Tensor)
            rows = _shortest(ids).flatten(-2)
            self._classes.join_all(rows, rows[..., :1])
            heads.append(rows[..., 0])
        self._classes.join_all(*heads)
        both, _ = broadcast(*heads)
        if both.numel() > 1:
            self._classes.heads.append(both.flatten().tolist())
        return both[..., None, None].expand(shape(self._node))

    @override
    def _without_gates(self, x: Tensor, other: Tensor) -> Tensor:
        """What lacks the dimension of heads, as a mask may, is one for all of them."""
        return super()._without_gates(x[(None,) * (other.dim() - x.dim())], other)

    @override
    def _alike(self, x: Tensor, dimension: int) -> Tensor | None:
        """All rows are made alike: a table has a head's values in a column."""
        if (x != FIXED).any():
            self._classes.join_all(x, x.narrow(dimension, 0, 1))
        return x.select(dimension, 0)


def _shortest(ids: Tensor) -> Tensor:
    """The same without repetition along any dimension."""
    for dimension in range(ids.dim()):
        first = ids.narrow(dimension, 0, 1)
        if (ids == first).all():
            ids = first
    return ids
