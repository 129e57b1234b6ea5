"""Classes of channels: what must live or die together is one class, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import torch
from torch import Tensor, fx

NOTHING = 0  # the class of values that belong to no channel: one value for all channels, or a constant
FIXED = 1  # of channels that must stay


class Freedom(IntEnum):
    """What may be done to channels: each includes those before."""

    FIXED = 0  # they stay
    SELECT = 1  # some are kept as they are
    CENTRE = 2  # a mixture of them is kept that has their mean: a LayerNorm reads them
    ROTATE = 3  # an orthonormal mixture of them is kept: their norm is used
    PAIR = 4  # any mixture of them is kept, and its inverse on the other side of the product that sums over them
    MIX = 5  # any mixture of them is kept: they are only added to, and read by layers


class Classes:
    """Classes of channels, which are joined, and what is known of each."""

    def __init__(self) -> None:
        self._parent = [NOTHING, FIXED]
        self._limits: list[tuple[int, Freedom]] = [(FIXED, Freedom.FIXED)]
        self.along: dict[tuple[str, int], list[int]] = {}  # the classes of a parameter's rows, by dimension
        self.again: dict[tuple[str, int], list[list[int]]] = {}  # those of further uses of the same rows
        self.reasons: dict[str, str] = {}
        self.of_nodes: Mapping[fx.Node, Tensor | list[Tensor]] = {}  # of each value that an operation makes
        self.factors: dict[
            int, float
        ] = {}  # of channels as a layer writes them: the number that they are multiplied by
        self.heads: list[list[int]] = []  # of each product of matrices, the class of each head
        # those that are summed over in products of two tensors, of the left one and of the right one
        self.left: set[int] = set()
        self.right: set[int] = set()
        self.second: dict[fx.Node, Tensor] = {}  # and of those that belong to two channels each, the other one
        self.apart: list[int] = []  # the root of each class, as it was before heads were tied
        self._heads_alike: list[Tensor] = []

    @property
    def count(self) -> int:
        """How many classes there are, with those that were joined to others."""
        return len(self._parent)

    def root(self, number: int) -> int:
        """The number that stands for a class and all it was joined with."""
        parent = self._parent
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    def new(self, count: int) -> Tensor:
        """So many new classes (count,)."""
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return torch.arange(first, first + count)

    def join(self, one: int, other: int) -> None:
        """Make one class of two; NOTHING joins none."""
        one, other = sorted((self.root(one), self.root(other)))
        if NOTHING not in (one, other):
            self._parent[other] = one

    def join_all(self, a: Tensor, b: Tensor) -> None:
        """Make one class of each two that meet; a and b broadcast."""
        a, b = shortened(*broadcast(a, b))
        different = a != b
        pairs = set((a[different] * len(self._parent) + b[different]).tolist())
        for one, other in (divmod(pair, len(self._parent)) for pair in pairs):
            self.join(one, other)

    def _among(self, ids: Tensor) -> list[int]:
        """The different numbers among these, by a table: faster than to sort them."""
        occurs = torch.zeros(len(self._parent), dtype=torch.bool)
        occurs[ids.flatten()] = True
        return occurs.nonzero().flatten().tolist()

    def limit(self, ids: Tensor, freedom: Freedom) -> None:
        """Allow no more than this for these classes."""
        self._limits += [(number, freedom) for number in self._among(ids) if number != NOTHING]

    def fix(self, ids: Tensor) -> None:
        """These classes stay."""
        for number in self._among(ids):
            self.join(number, FIXED)

    def multiply(self, ids: Tensor, number: float) -> None:
        """These channels are multiplied by a number."""
        for each in self._among(ids):
            self.factors[each] = self.factors.get(each, 1.0) * number

    def freedoms(self) -> dict[int, Freedom]:
        """Of each class that has less than all."""
        least: dict[int, Freedom] = {}
        for number, freedom in self._limits:
            root = self.root(number)
            least[root] = min(freedom, least.get(root, Freedom.MIX))
        return least

    def put_along(self, parameter: str, dimension: int, ids: Tensor) -> None:
        """The classes (n,) of a parameter's rows; a parameter that is used twice joins them."""
        place = (parameter, dimension)
        if place in self.along:
            self.join_all(torch.tensor(self.along[place]), ids)
            self.again.setdefault(place, []).append(ids.tolist())
        else:
            self.along[place] = ids.tolist()

    def tie(self, channels: Tensor, groups: int) -> None:
        """Make one class of what has the same place in each of some equal groups of channels (C,), chosen whole."""
        if groups > 1:
            places = channels.view(groups, -1)
            self.join_all(places, places[:1])
            self.limit(channels, Freedom.SELECT)

    def tie_heads(self, rows: Tensor) -> None:
        """Rows (heads, k) keep as many channels each, but not the same ones: one class, once all else is known."""
        self._heads_alike.append(rows)

    def join_heads(self) -> None:
        """Make one class of what was tied by `tie_heads`; `apart` says what was one without that."""
        self.apart = [self.root(number) for number in range(self.count)]
        for rows in self._heads_alike:
            self.join_all(rows, rows[:1])

    def of_channels(self, ids: Tensor, dimension: int) -> Tensor:
        """The class (C,) of each channel, the rows of this dimension: all values of one are one class."""
        if not ids.numel():
            return torch.full((ids.shape[dimension],), NOTHING)
        rows = ids.movedim(dimension, 0).reshape(ids.shape[dimension], -1)
        if not (rows == rows[:, :1]).all():
            self.join_all(rows, rows[:, :1])
        return rows[:, 0]


def broadcast(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the size that they have together."""
    size = torch.broadcast_shapes(a.shape, b.shape)  # type: ignore[no-untyped-call]
    return a.expand(size), b.expand(size)


def shortened(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Two of one size, with 1 for the size of each dimension along which neither changes: most are large and repeat."""
    for dimension in range(a.dim()):
        if a.shape[dimension] > 1:
            rows = [ids.narrow(dimension, 0, 1) for ids in (a, b)]
            if all((ids == row).all() for ids, row in zip((a, b), rows, strict=True)):
                a, b = rows
    return a, b
