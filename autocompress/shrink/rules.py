"""What one operation does to classes of channels.

What only moves values moves the numbers of their classes as it moves values; what adds or multiplies two tensors makes
one class of the two that meet. So no operation needs a rule of its own for where channels go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx

from autocompress.shrink import operations
from autocompress.shrink.classes import FIXED, NOTHING, Classes, Freedom, broadcast, shortened
from autocompress.shrink.graph import LAYERS, Graph, module_path, operation, shape
from autocompress.shrink.lookups import gathered, unfolded
from autocompress.shrink.products import multiplied


class Operation:
    """One operation that is no layer, run on classes."""

    def __init__(
        self, node: fx.Node, ids: Mapping[fx.Node, Tensor | list[Tensor]], classes: Classes, graph: Graph
    ) -> None:
        self._node = node
        self._ids = ids
        self._classes = classes
        self._graph = graph
        self._name = operation(node).removesuffix("_")
        self._tensors = [ids[argument] for argument in node.all_input_nodes]

    def result(self) -> Tensor | list[Tensor]:
        """The classes of what it computes."""
        special = self._special()
        if special is not None:
            return special()
        first, work = self._tensors[0], self._rule()
        return self._unknown() if work is None or isinstance(first, list) else work(first)

    def _special(self) -> Callable[[], Tensor | list[Tensor]] | None:
        """What is not said by the classes of its first tensor alone."""
        by_name: tuple[tuple[set[str], Callable[[], Tensor | list[Tensor]]], ...] = (
            (operations.CHECKS, list),
            (operations.MATRIX_PRODUCTS, self._multiplied),
            (operations.INDEXED, self._indexed),
        )
        for names, work in by_name:
            if self._name in names:
                return work
        if any(argument in self._classes.second for argument in self._node.all_input_nodes):
            return self._of_pairs
        if self._name in operations.MOVES and self._tensors:
            return self._unknown if self._reads_numbers() else self._moved
        if all((ids == NOTHING).all() for ids in self._tensors if isinstance(ids, Tensor)):
            return lambda: self._made(NOTHING)  # also of no tensors at all
        return self._unfolded if self._name == "im2col" else None

    def _reads_numbers(self) -> bool:
        """Whether it depends on a number that is computed of values, such as where a slice begins."""
        values = [argument.meta.get("val") for argument in self._node.all_input_nodes]
        return not all(isinstance(value, Tensor | tuple | list) for value in values)

    def _rule(self) -> Callable[[Tensor], Tensor | list[Tensor]] | None:
        """What is known of the operation, given its first tensor's classes."""
        rules: list[tuple[set[str], Callable[[Tensor], Tensor | list[Tensor]]]] = [
            (operations.LINEAR | operations.NONLINEAR, self._of_one),
            (operations.SUMS | operations.PRODUCTS | operations.QUOTIENTS | operations.CHOICES, self._of_two),
            (operations.SPATIAL | operations.SPATIAL_MAXIMA, self._spatial),
            (operations.SUMS_OVER | operations.SPREADS_OVER | operations.NORMS_OVER, self._reduced),
            (operations.PER_CHANNEL, self._per_channel),
            (operations.SHARES, self._shared),
            (operations.LOOKUPS, self._gathered),
        ]
        return next((rule for names, rule in rules if self._name in names), None)

    def _of_one(self, x: Tensor) -> Tensor | list[Tensor]:
        """Element by element, of one tensor."""
        if len(self._tensors) > 1:  # such as x ** y
            return self._unknown()
        if self._name in operations.NONLINEAR:
            self._classes.limit(x, Freedom.SELECT)
        return x

    def _moved(self) -> Tensor | list[Tensor]:
        def classes_of(argument: fx.Node) -> Tensor | list[Tensor]:
            ids = self._ids[argument]
            return ids.contiguous() if "view" in self._name and isinstance(ids, Tensor) else ids

        if self._name in ("contiguous", "clone", "type_as"):
            return self._ids[self._node.all_input_nodes[0]]
        target, kwargs = self._node.target, dict(self._node.kwargs)
        assert callable(target)
        result = target(*fx.map_arg(self._node.args, classes_of), **fx.map_arg(kwargs, classes_of))
        if self._name == "pixel_shuffle":  # all pixels that are made of one channel's are one channel
            self._classes.of_channels(result, 1)
        return list(result) if isinstance(result, tuple | list) else result

    def _indexed(self) -> Tensor | list[Tensor]:
        """Rows that are given by their numbers, along one dimension, as in a table of positions."""
        x, args = self._tensors[0], self._node.args
        numbers: Any
        dimension: Any
        dimension, numbers = (0, args[1]) if self._name == "index" else (args[1], [args[2]])
        if isinstance(x, list) or len(numbers) != 1:
            return self._unknown()
        row, made = self._alike(x, dimension), shape(self._node)
        if row is not None:
            return (row if self._name == "index" else row.unsqueeze(dimension)).expand(made)
        name = self._graph.constants.get(numbers[0])
        if name is None or self._graph.state[name].dtype == torch.bool:
            return self._unknown()
        return x.index_select(dimension, self._graph.state[name].flatten().cpu().long() % x.shape[dimension]).view(made)

    def _alike(self, x: Tensor, dimension: int) -> Tensor | None:
        """The classes of one row along a dimension, where all have the same."""
        return x.select(dimension, 0) if (x == x.narrow(dimension, 0, 1)).all() else None

    def _unfolded(self) -> Tensor | list[Tensor]:
        (x,) = self._tensors
        return self._unknown() if isinstance(x, list) or x.dim() != 4 else unfolded(x, shape(self._node), self._classes)

    def _gathered(self, x: Tensor) -> Tensor | list[Tensor]:
        """At places that an index says, which is no value of a channel's."""
        found = gathered(x, self._node.args[1] % x.dim(), self._node.args[2].meta["val"])  # type: ignore[arg-type, operator, union-attr]
        return self._unknown() if found is None else found

    def _of_two(self, _: Tensor) -> Tensor:
        """Element by element, of two tensors or of a tensor and a number."""
        if len(self._tensors) == 1 and len(self._node.all_input_nodes) == 1:
            (only,) = self._tensors
            assert isinstance(only, Tensor)
            number = next((a for a in self._node.args[:2] if not isinstance(a, fx.Node)), None)
            both = number is None  # x * x, or x + x
            if (both and self._name not in operations.SUMS) or (self._name in operations.SUMS and number):
                self._classes.limit(only, Freedom.SELECT)
            if self._name in operations.QUOTIENTS and not isinstance(self._node.args[0], fx.Node):
                self._classes.limit(only, Freedom.SELECT)
            if self._name in operations.PRODUCTS and number and self._written_by_a_layer():
                self._classes.multiply(only, float(number))  # type: ignore[arg-type]
            return only
        a, b = (self._ids[argument] for argument in self._node.args[:2])  # type: ignore[index]
        assert isinstance(a, Tensor)
        assert isinstance(b, Tensor)
        a, b = self._without_gates(a, b), self._without_gates(b, a)
        a, b = broadcast(a, b)
        made = a.shape
        a, b = shortened(a, b)
        self._classes.join_all(a, b)
        met = torch.where(a == NOTHING, b, a)
        alone = (a == NOTHING) | (b == NOTHING)
        if self._name in operations.PRODUCTS:
            self._classes.limit(met[~alone], Freedom.SELECT)
        elif self._name in operations.SUMS:
            self._classes.limit(met[alone], Freedom.SELECT)
        elif self._name in operations.QUOTIENTS:
            self._classes.limit(b, Freedom.SELECT)
        else:
            self._classes.limit(met, Freedom.SELECT)
        return met.expand(made)

    def _written_by_a_layer(self) -> bool:
        """Whether what is read is what one layer wrote, moved at most."""
        node = self._node.all_input_nodes[0]
        while operation(node) in operations.MOVES and len(node.all_input_nodes) == 1:
            node = node.all_input_nodes[0]
        return operation(node) in LAYERS

    def _without_gates(self, x: Tensor, other: Tensor) -> Tensor:
        """The classes of x as it meets another tensor: one channel that meets many stays, and joins none of them."""
        for dimension in range(-min(x.dim(), other.dim()), 0):
            if x.shape[dimension] == 1 < other.shape[dimension]:
                first = other.narrow(dimension, 0, 1)
                if not (other == first).all() and (x != NOTHING).any():
                    self._classes.fix(x)
                    return torch.full_like(x, NOTHING)
        return x

    def _spatial(self, x: Tensor) -> Tensor | list[Tensor]:
        if x.dim() != 4:
            return self._unknown()
        channels = self._classes.of_channels(x, 1)
        if self._name in operations.SPATIAL_MAXIMA:
            self._classes.limit(channels, Freedom.SELECT)
        elif self._name in ("constant_pad_nd", "pad"):
            padding = self._node.args[1]
            if len(padding) > 4 or (len(self._node.args) > 2 and self._node.args[-1] not in (0, 0.0, "reflect")):  # type: ignore[arg-type]
                return self._unknown()
        result = channels.view(1, -1, 1, 1).expand(shape(self._node))
        value = self._node.meta["val"]
        return [result] * len(value) if isinstance(value, tuple | list) else result

    def _reduced(self, x: Tensor) -> Tensor:
        """Over some dimensions: of pixels, which keeps the channels, or of channels."""
        name, args = self._name, list(self._node.args)
        given: Any = args[2] if name == "linalg_vector_norm" and len(args) > 2 else (args[1] if len(args) > 1 else None)
        dims = [given] if isinstance(given, int) else list(given or range(x.dim()))
        rest = [d for d in range(x.dim()) if d not in {d % x.dim() for d in dims}]
        rows = x.permute(*rest, *(d % x.dim() for d in dims)).flatten(len(rest))
        first = rows[..., 0]
        if not (rows == rows[..., :1]).all():
            norm = name in operations.NORMS_OVER
            self._classes.limit(x, Freedom.ROTATE if norm else Freedom.SELECT)
            return torch.full(shape(self._node), NOTHING)
        if name not in operations.SUMS_OVER:
            self._classes.limit(first, Freedom.SELECT)
        return first.reshape(shape(self._node))

    def _shared(self, x: Tensor) -> Tensor | list[Tensor]:
        """Shares of a sum over one dimension, of pixels or windows."""
        dimension = self._node.args[1]
        assert isinstance(dimension, int)
        if not (x == x.narrow(dimension, 0, 1)).all():
            return self._unknown()
        self._classes.limit(x, Freedom.SELECT)
        return x

    def _multiplied(self) -> Tensor | list[Tensor]:
        """Matrices (..., n, k) and (..., k, m), as attention has them."""
        a, b = (self._labels(argument) for argument in self._node.all_input_nodes)
        made = None
        if min(ids.dim() for ids in (*a, *b)) >= 2:
            made = multiplied(a, b, shape(self._node), self._classes)
        if made is None:
            return self._unknown()
        if len(made) == 2:
            self._classes.second[self._node] = made[1]
        return made[0]

    def _labels(self, node: fx.Node) -> list[Tensor]:
        """The classes of the elements of a tensor: one for each, or two."""
        ids, second = self._ids[node], self._classes.second.get(node)
        assert isinstance(ids, Tensor)
        return [ids] if second is None else [ids, second]

    def _of_pairs(self) -> Tensor | list[Tensor]:
        """Of a tensor whose elements belong to two channels each: products and shares in attention over channels."""
        (node, *others) = (each for each in self._node.all_input_nodes if each in self._classes.second)
        ids, second = self._labels(node)
        if others:
            return self._unknown()
        if self._name in operations.MOVES:
            own, ids_of = self._ids, {**self._ids, node: second}
            moved = self._moved()
            self._ids = ids_of
            second_moved = self._moved()
            self._ids = own
            if isinstance(moved, Tensor) and isinstance(second_moved, Tensor):
                self._classes.second[self._node] = second_moved
                return moved
            return self._unknown()
        rest = [self._ids[each] for each in self._node.all_input_nodes if each is not node]
        one_for_all = all(isinstance(each, Tensor) and each.shape[-2:].numel() == 1 for each in rest)
        alone = self._name in operations.LINEAR | operations.NONLINEAR | operations.SHARES and not rest
        if not alone and not (
            self._name in operations.SUMS | operations.PRODUCTS | operations.QUOTIENTS and one_for_all
        ):
            return self._unknown()
        for each in rest:
            assert isinstance(each, Tensor)
            self._classes.fix(each)  # a value for each head
        if self._name not in operations.LINEAR:
            self._classes.limit(ids, Freedom.SELECT)
            self._classes.limit(second, Freedom.SELECT)
        self._classes.second[self._node] = second
        return ids

    def _per_channel(self, x: Tensor) -> Tensor | list[Tensor]:
        """A norm, or an activation with parameters, whose every channel has parameters of its own."""
        dimension = x.dim() - 1 if self._name == "layer_norm" else 1
        groups = self._node.args[1] if self._name == "group_norm" else 1
        assert isinstance(groups, int)
        normalized = self._node.args[1] if self._name == "layer_norm" else [0]
        if len(normalized) != 1:  # type: ignore[arg-type]
            return self._unknown()
        channels = self._classes.of_channels(x, dimension)
        self._classes.limit(channels, Freedom.CENTRE if self._name == "layer_norm" else Freedom.SELECT)
        self._classes.tie(channels, groups)
        for argument in self._node.all_input_nodes[1:]:
            name = self._graph.constants.get(argument)
            if name is not None and self._graph.state[name].numel() == len(channels) > 1:
                self._classes.put_along(name, 0, channels)
        value = self._node.meta["val"]
        return [x] * len(value) if isinstance(value, tuple | list) else x

    def _unknown(self) -> Tensor | list[Tensor]:
        """All channels that it reads and makes stay."""
        second = (self._classes.second.get(argument) for argument in self._node.all_input_nodes)
        for tensors in [*self._tensors, [ids for ids in second if ids is not None]]:
            for tensor in [tensors] if isinstance(tensors, Tensor) else tensors:
                self._classes.fix(tensor)
        self._classes.reasons[module_path(self._node) or "forward"] = f"the operation {self._name}"
        return self._made(FIXED)

    def _made(self, number: int) -> Tensor | list[Tensor]:
        """One class for all that the operation makes."""
        value = self._node.meta.get("val")
        if isinstance(value, tuple | list):
            return [torch.full(item.shape, number) for item in value if isinstance(item, Tensor)]
        return torch.full(value.shape if isinstance(value, Tensor) else (), number)
