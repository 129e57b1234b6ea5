"""FLOPs of students of a user's network from the shapes of their parameters alone: no network is run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from torch import fx

from autocompress.shrink.graph import Graph, operation, shape
from autocompress.shrink.parts import Shapes, kept_parts, source_of

MADE = {"upsample_nearest2d": 1, "upsample_bilinear2d": 4}  # fvcore's FLOPs for each element of the result
READ = {"adaptive_avg_pool2d": 1}  # and of what is read
NORMS = {
    "_native_batch_norm_legit_no_training": 2, "group_norm": 5, "instance_norm": 5, "layer_norm": 5,
    "native_group_norm": 5, "native_layer_norm": 5,
}  # fmt: skip


@dataclass(frozen=True)
class _Term:
    """FLOPs for each LR pixel: `factor` times the elements of a parameter, or times its first dimension."""

    parameter: str
    factor: Fraction
    rows_only: bool = False


class CostModel:
    """The FLOPs of networks of one kind, by the layers of the largest; equal to fvcore's for an image of its size.

    `counted` are fvcore's FLOPs for each LR pixel of the largest: what its layers do not explain stays the same in all.
    """

    def __init__(self, graph: Graph, counted: Fraction) -> None:
        self._terms = list(_terms(graph))
        self._whole = graph.shapes
        self._rest = Fraction(0)
        self._rest = counted - self.flops(self._whole)

    @property
    def explained(self) -> bool:
        """Whether the layers explain all FLOPs of the largest."""
        return self._rest == 0

    def flops(self, shapes: Shapes) -> Fraction:
        """Fused multiply-adds for each LR pixel, of a network with parameters of these shapes."""
        sources = kept_parts(self._whole, shapes)
        shapes = {source_of(name, sources): size for name, size in shapes.items()}
        total = self._rest
        for term in self._terms:
            if term.parameter in shapes:
                size = shapes[term.parameter]
                total += term.factor * (size[0] if term.rows_only else math.prod(size))
        return total


class Interpolation:
    """What is left of the FLOPs of students, as products of matrices in attention: a polynomial of the counts.

    Of degree 1 in a number of parts and 2 in a width: exact where these are all that it depends on. `left` gives its
    value for counts by name, at all combinations of two or three values of each.
    """

    def __init__(self, nodes: Mapping[str, Sequence[float]], left: Callable[[Mapping[str, float]], Fraction]) -> None:
        self._nodes = nodes
        points = itertools.product(*nodes.values())
        self._values = {point: left(dict(zip(nodes, point, strict=True))) for point in points}

    def __call__(self, counts: Mapping[str, float]) -> Fraction:
        """By Lagrange's formula."""
        total = Fraction(0)
        for point, value in self._values.items():
            share = Fraction(1)
            for (name, nodes), own in zip(self._nodes.items(), point, strict=True):
                share *= math.prod(
                    (Fraction(counts[name]) - Fraction(other)) / (Fraction(own) - Fraction(other))
                    for other in nodes
                    if other != own
                )
            total += share * value
        return total


def _terms(graph: Graph) -> Iterator[_Term]:
    pixels = math.prod(shape(graph.image)[-2:])
    layers = {layer.node: layer for layer in graph.layers()}
    for layer in layers.values():
        if not math.prod(shape(layer.node)):
            continue
        place = layer.input if layer.kind == "conv_transpose2d" else layer.node
        positions = math.prod(shape(place)) // shape(place)[-1 if layer.kind == "linear" else -3]
        yield _Term(layer.weight, Fraction(positions, pixels))
    for node in graph.calls:
        name = operation(node)
        if name not in NORMS | MADE | READ or not math.prod(shape(node)):
            continue
        if name in NORMS:
            weight = next((graph.constants[n] for n in node.all_input_nodes[1:] if n in graph.constants), None)
            if weight is not None:
                rows = graph.state[weight].shape[0]
                yield _Term(weight, Fraction(NORMS[name] * math.prod(shape(node)), pixels * rows), rows_only=True)
        else:
            written = _writer(node, layers)
            if written is not None:
                size = math.prod(shape(node if name in MADE else node.all_input_nodes[0]))
                rows = graph.state[layers[written].weight].shape[0]
                factor = (MADE | READ)[name] * size
                yield _Term(layers[written].weight, Fraction(factor, pixels * rows), rows_only=True)


def _writer(node: fx.Node, layers: Mapping[fx.Node, object]) -> fx.Node | None:
    """The layer that wrote the channels which a node passes on."""
    seen: fx.Node | None = node
    while seen is not None and seen not in layers:
        seen = next((argument for argument in seen.all_input_nodes if argument.op == "call_function"), None)
    return seen
