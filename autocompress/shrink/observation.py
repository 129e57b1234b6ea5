"""What is seen of a teacher on images, once for students of any size: statistics of its axes, and fitting targets."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, fx

from autocompress.errors import ConfigError
from autocompress.progress import OnDone, one_by_one, several, untold
from autocompress.shrink.channels import ChannelMap, Use
from autocompress.shrink.classes import Freedom
from autocompress.shrink.graph import Graph, Layer, Values, operation, shape
from autocompress.shrink.operations import MOVES
from autocompress.shrink.part_importance import importance_of_parts, work_of_parts
from autocompress.shrink.parts import repeated_parts
from autocompress.shrink.subspaces import covariance

FITTED_ROWS = 30_000  # pixels of all images together, at which a layer is fitted; 20,000 start 0.1 to 0.2 dB lower
FITTED_VALUES = 250_000_000  # of all layers together; of larger networks fewer pixels are looked at
SENSED_IMAGES = 16  # for gradients
GRADIENT_PASSES = 2  # of an image through the teacher, which take about as long as its gradients


@dataclass(frozen=True)
class Sum:
    """The addition that a layer's output goes into, and nothing else: `total` = `factor` * output + `other`.

    Between them values may change places, as where a transformer holds channels last, or takes windows apart:
    `dimension` is that of the total's channels, and `pixels` (N,) says where each of the output's is in the total; None
    where they have the same order.
    """

    total: fx.Node
    other: fx.Node
    factor: float
    dimension: int
    pixels: Tensor | None


class Teacher:
    """A captured network with its axes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.channels = ChannelMap.of(graph, with_heads=True)
        self.layers = {layer.weight: layer for layer in graph.layers()}
        self.numbers = {node: index for index, node in enumerate(graph.calls)}

    @cached_property
    def readers(self) -> list[tuple[Layer, int]]:
        """Layers with the dimension of their weight that runs along what they read."""
        return [(layer, reading_dimension(layer)) for layer in self.layers.values()]

    @cached_property
    def targets(self) -> dict[fx.Node, tuple[int, Tensor | None]]:
        """The nodes whose values layers are fitted to, with the dimension of their channels, and `Sum.pixels`."""
        totals = {layer: sum_of(self.graph, layer) for layer in self.layers.values()}
        return {
            total.total if total else layer.node: (total.dimension, total.pixels)
            if total
            else (channel_dimension(layer), None)
            for layer, total in totals.items()
        }


def reading_dimension(layer: Layer) -> int:
    """The dimension of a layer's weight that runs along its input's channels, or those of each of its groups."""
    alone = layer.groups > 1 and layer.groups == shape(layer.input)[-3]
    return 0 if alone or layer.kind == "conv_transpose2d" else 1


def channel_dimension(layer: Layer) -> int:
    """The dimension of a layer's input and output that is its channels."""
    rank = len(shape(layer.node))
    return rank - 1 if layer.kind == "linear" else rank - 3


def sum_of(graph: Graph, layer: Layer) -> Sum | None:
    """The sum that only a layer's output goes into, or a multiple of it, if what is added is known before."""
    node, factor, moves = layer.node, 1.0, list[fx.Node]()
    while len(node.users) == 1:
        (user,) = node.users
        numbers = [a for a in user.args[:2] if isinstance(a, int | float)]
        if operation(user).removesuffix("_") == "mul" and len(numbers) == 1 and numbers[0]:
            factor *= float(numbers[0])
        elif operation(user) in MOVES and user.all_input_nodes == [node]:
            moves.append(user)
        else:
            break
        node = user
    if len(node.users) != 1:
        return None
    (total,) = node.users
    if operation(total).removesuffix("_") != "add" or total.kwargs or len(total.args) != 2:
        return None
    others = [a for a in total.args if isinstance(a, fx.Node) and a is not node and a not in graph.constants]
    if len(others) != 1 or shape(others[0]) != shape(total) or shape(total) != shape(node):
        return None
    place = _moved(layer, moves)
    order = {each: index for index, each in enumerate(graph.calls)}
    if place is None or order.get(others[0], -1) >= order[layer.node]:
        return None
    return Sum(total, others[0], factor, *place)


def _moved(layer: Layer, moves: Sequence[fx.Node]) -> tuple[int, Tensor | None] | None:
    """Where some moves take a layer's output, as `Sum` has it; None where pixels do not keep their channels."""
    dimension = channel_dimension(layer)
    if not moves or not shape(layer.node).numel():
        return dimension, None
    numbers = torch.arange(shape(layer.node).numel()).view(shape(layer.node))
    rows = numbers.movedim(dimension, -1).flatten(0, -2)
    for node in moves:
        assert callable(node.target)
        of_nodes = {node.all_input_nodes[0]: numbers.contiguous()}
        numbers = node.target(*fx.map_arg(node.args, of_nodes.__getitem__), **node.kwargs)
        if not isinstance(numbers, Tensor):  # it is taken apart
            return None
    for moved in range(numbers.dim()):
        there = numbers.movedim(moved, -1).flatten(0, -2)
        if there.shape == rows.shape:
            where = torch.zeros(rows.numel(), dtype=torch.long)
            where[there[:, 0]] = torch.arange(len(there))
            pixels = where[rows[:, 0]]
            if torch.equal(there[pixels], rows):
                return moved, None if torch.equal(there, rows) else pixels
    return None


class Rows:
    """Which positions of a tensor are looked at: for each number of positions, a random choice for each image."""

    def __init__(self, images: int, count: int, seed: int) -> None:
        self._images, self._count = images, count
        self._generator = torch.Generator().manual_seed(seed)
        self.chosen: dict[int, Tensor] = {}

    def of(self, positions: int) -> Tensor:
        """The positions (images, k) among so many."""
        if positions not in self.chosen:
            each = min(positions, max(1, self._count // self._images))
            order = torch.rand(self._images, positions, generator=self._generator).argsort(1)
            self.chosen[positions] = order[:, :each].contiguous()
        return self.chosen[positions]

    def take(self, values: Sequence[Tensor], dimension: int, pixels: Tensor | None = None) -> Tensor:
        """The rows (N, C) of what a node computes for all images: see `rows_at`."""
        return rows_at(self.of(positions(values[0], dimension)), values, dimension, pixels)


def positions(tensor: Tensor, dimension: int) -> int:
    """The number of a tensor's positions, at each of which it has the channels along a dimension; it may be of none."""
    return math.prod(size for index, size in enumerate(tensor.shape) if index != dimension)


def rows_at(at: Tensor, values: Sequence[Tensor], dimension: int, pixels: Tensor | None) -> Tensor:
    """The rows (N, C) at the positions (images, k) of some tensors with C channels along `dimension`.

    `pixels` says where each position is in them, if it is elsewhere.
    """
    flat = [value.movedim(dimension, -1).flatten(0, -2) for value in values]
    chosen = at if pixels is None else pixels.to(at.device)[at]
    return torch.cat([rows[places] for rows, places in zip(flat, chosen, strict=True)])


@torch.no_grad()
def observe(
    teacher: Teacher,
    images: Tensor,
    seed: int,
    varying: Container[str] | None = None,
    report: OnDone = untold,
) -> dict[str, Tensor]:
    """What `Projection` needs to know of a teacher, by name.

    `covariance.N`, `sensitivity.N` and `importance.N` are of each head of axis N, `heads.N` is the importance of
    attention N's heads; `rows.N` what operation N computes at the positions `positions.M` of its M; `parts.PREFIX` what
    `importance_of_parts` finds: of all repeated parts, or of those with a prefix in `varying`, of which students may
    have fewer.
    `images` are (B, 3, h, w), of the size at which the teacher was captured. `report` is told of each operation
    that was seen on all images; an image's gradients, and a pass without a part, count as several.
    Raises ConfigError for a teacher whose statistics are not finite.
    """
    targets = teacher.targets
    width = sum(shape(node)[dimension] for node, (dimension, _) in targets.items())
    rows = Rows(len(images), min(FITTED_ROWS, FITTED_VALUES // max(1, width)), seed)
    ranked = [each for each in repeated_parts(teacher.graph.shapes) if varying is None or each.prefix in varying]
    sensed = min(len(images), SENSED_IMAGES)
    calls = len(teacher.graph.calls)

    def seen_on_all(operations: int) -> int:
        """How many operations on all images take as long as so many on one."""
        return max(1, operations // len(images))

    per_gradient = seen_on_all(GRADIENT_PASSES * calls)
    passes = work_of_parts(teacher.graph, ranked, len(images))
    done = one_by_one(report, calls + sensed * per_gradient + sum(map(seen_on_all, passes)))
    of_layer = {layer.input: layer for layer, _ in teacher.readers}
    seen: dict[str, Tensor] = {}
    read: dict[fx.Node, Tensor] = {}  # rows of what layers read

    def look(node: fx.Node, values: Values) -> None:
        if node in targets:
            seen[f"rows.{teacher.numbers[node]}"] = rows.take(values[node], *targets[node])
        if node in of_layer:
            read[node] = rows.take(values[node], channel_dimension(of_layer[node]))
        done()

    batch = [image[None] for image in images]
    teacher.graph.run(teacher.graph.state, batch, after=look)
    seen |= _statistics(teacher, seen, read, _gradients(teacher, batch[:sensed], seed, several(done, per_gradient)))
    importance = importance_of_parts(
        teacher.graph, ranked, batch, lambda operations: several(done, seen_on_all(operations))()
    )
    seen |= {f"parts.{prefix}": changes for prefix, changes in importance.items()}
    if not all(tensor.isfinite().all() for tensor in seen.values()):
        raise ConfigError(
            "the teacher's features or gradients have squares beyond what float32 holds, so they cannot be weighed; "
            "take another teacher, or init scratch"
        )
    return seen | {f"positions.{count}": chosen for count, chosen in rows.chosen.items()}


def _gradients(
    teacher: Teacher, images: Sequence[Tensor], seed: int, done: Callable[[], object]
) -> dict[fx.Node, Tensor]:
    """Of random probes of the output with respect to what layers read, by node: the sum of g g^T, (C, C) in float64."""
    wanted = {layer.input: channel_dimension(layer) for layer, _ in teacher.readers}
    generator = torch.Generator().manual_seed(seed)
    found: dict[fx.Node, Tensor] = {}
    for image in images:
        values: dict[fx.Node, Tensor] = {}

        def keep(node: fx.Node, computed: Values, values: dict[fx.Node, Tensor] = values) -> None:
            if node in wanted and computed[node][0].requires_grad:
                values[node] = computed[node][0]

        with torch.enable_grad():
            (output,) = teacher.graph.run(teacher.graph.state, [image.clone().requires_grad_()], after=keep)
            probe = torch.randn(output.shape, generator=generator).to(output.device)
            inputs = list(values.values())  # none where all layers read the image itself
            gradients = torch.autograd.grad(output, inputs, probe, allow_unused=True) if inputs else ()
        for (node, value), gradient in zip(values.items(), gradients, strict=True):
            slopes = torch.zeros_like(value) if gradient is None else gradient
            rows = slopes.movedim(wanted[node], -1).flatten(0, -2)
            found[node] = found.get(node, 0) + (rows.T @ rows).double()
        done()
    return found


def _statistics(
    teacher: Teacher, seen: Mapping[str, Tensor], read: dict[fx.Node, Tensor], gradients: dict[fx.Node, Tensor]
) -> dict[str, Tensor]:
    """Covariance, sensitivity and importance of each head of each axis, summed over the places where layers read it.

    Importance is how much the output changes, to first order, where channels or heads keep only their mean: what that
    adds, the bias of the layer that reads them can learn.
    """
    total: dict[str, Tensor] = {}
    for layer, dimension in teacher.readers:
        if layer.input not in read or layer.input not in gradients:
            continue
        values, slopes = read[layer.input], gradients[layer.input]
        for use in teacher.channels.uses.get((layer.weight, dimension), ()):
            for head, column in zip(*_channels_read(use, layer), strict=True):
                a, g = values[:, column], slopes[column[:, None], column]
                of_values = covariance(a)
                found = {
                    "covariance": of_values,
                    "sensitivity": g / SENSED_IMAGES,
                    "importance": of_values.diagonal() * g.diagonal(),
                }
                for kind, tensor in found.items():
                    empty = tensor.new_zeros(teacher.channels.axes[use.axis].heads, *tensor.shape)
                    total.setdefault(f"{kind}.{use.axis}", empty)[head] += tensor
        number = teacher.channels.heads_along((layer.weight, dimension))
        if number is not None and layer.groups == 1:
            rows = teacher.channels.heads[number].rows[layer.weight, dimension]
            of_heads = [(covariance(values[:, own]) * slopes[own[:, None], own]).sum() for own in rows]
            total[f"heads.{number}"] = total.get(f"heads.{number}", 0) + torch.stack(of_heads)
    for number in range(len(teacher.channels.axes)):
        if f"covariance.{number}" not in total:  # no layer reads it
            total |= {f"{kind}.{number}": tensor for kind, tensor in _of_scores(teacher, number, seen).items()}
    for number, heads in enumerate(teacher.channels.heads):
        total.setdefault(f"heads.{number}", torch.ones(heads.count).double())
    return total


def _of_scores(teacher: Teacher, number: int, seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of the channels that queries and keys have: the covariance of keys, and how much scores depend on them.

    A constant that is added to all keys does not count: shares of a sum do not change by it. What one layer writes for
    both is both. Where products are not all that reads an axis, all channels matter alike.
    """
    axis = teacher.channels.axes[number]
    eye = torch.eye(axis.size).double()
    sides = torch.zeros(2, axis.heads, axis.size, axis.size, dtype=torch.float64)
    found = torch.zeros(2, axis.heads)
    for layer in teacher.layers.values():
        rows = seen.get(f"rows.{teacher.numbers[layer.node]}")
        for use in teacher.channels.uses.get((layer.weight, 0), ()):
            if use.axis == number and rows is not None and layer.kind != "conv_transpose2d":
                for column, head, left in zip(use.rows.T, use.heads, use.left, strict=True):
                    values = rows[:, column].cpu()
                    if left:
                        sides[1, head] += (values.T @ values).double() / len(values)
                    if not left or axis.freedom is Freedom.ROTATE:
                        sides[0, head] += covariance(values)
                    found[int(left), head] += 1
    if axis.freedom is not Freedom.ROTATE and (found.min() < 1 or found[0].ne(found[1]).any()):
        sides[:] = eye
    keys, queries = sides
    share = keys.diagonal(dim1=1, dim2=2) * queries.diagonal(dim1=1, dim2=2)
    return {"covariance": keys, "sensitivity": queries, "importance": share}


def _channels_read(use: Use, layer: Layer) -> tuple[list[int], list[Tensor]]:
    """The channels (size,) that a layer reads as each column of an axis along its weight, with the heads they are of.

    A layer on each channel alone, or of several groups, has other rows than channels.
    """
    heads, rows = use.heads, use.rows
    if layer.groups > 1 and layer.kind != "conv_transpose2d":
        if reading_dimension(layer) == 1:  # the same places of each group
            begins = torch.arange(layer.groups) * (shape(layer.input)[-3] // layer.groups)
            heads, rows = heads.repeat_interleave(layer.groups), (rows[:, :, None] + begins).flatten(1)
        else:  # several rows for each channel
            each = shape(layer.node)[-3] // shape(layer.input)[-3]
            heads, rows = heads[::each], rows[:, ::each] // each
    return heads.tolist(), list(rows.T)
