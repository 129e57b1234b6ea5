"""A graph, run on classes of channels in place of values.

A convolution or a linear layer begins new classes; what other operations do to them, `rules` says.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, fx

from autocompress.shrink.classes import FIXED, Classes
from autocompress.shrink.graph import Graph, shape
from autocompress.shrink.layers import classes_of_constant, classes_of_layer
from autocompress.shrink.rules import Operation


def propagate(graph: Graph) -> Classes:
    """The classes of a network's channels, along all its parameters."""
    classes, elementwise = classes_by(Operation, graph, classes_of_constant)
    for name, tensor in elementwise.items():
        for dimension in range(tensor.dim() if tensor.numel() else 0):
            if bool((tensor != tensor.narrow(dimension, 0, 1)).any()):
                classes.put_along(name, dimension, classes.of_channels(tensor, dimension))
    classes.join_heads()
    return classes


def classes_by(
    operations_: type[Operation], graph: Graph, of_constant: Callable[[Tensor, bool, Classes], Tensor]
) -> tuple[Classes, dict[str, Tensor]]:
    """The classes along the parameters of layers and norms, and those of each element of the other constants."""
    classes = Classes()
    ids: dict[fx.Node, Tensor | list[Tensor]] = {graph.image: torch.full(shape(graph.image), FIXED)}
    layers = {layer.node: layer for layer in graph.layers()}
    taken = {name for layer in layers.values() for name in (layer.weight, layer.bias) if name is not None}
    elementwise: dict[str, Tensor] = {}
    for node, name in graph.constants.items():
        if name in taken:
            ids[node] = torch.full(graph.state[name].shape, FIXED)
        else:
            ids[node] = elementwise[name] = of_constant(graph.state[name], name in graph.learned, classes)
    for node in graph.calls:
        if node in layers:
            ids[node] = classes_of_layer(layers[node], ids, classes)
        else:
            ids[node] = operations_(node, ids, classes, graph).result()
    for node in (graph.output, *(layer.input for layer in layers.values())):
        if node in classes.second:
            classes.fix(ids[node])  # type: ignore[arg-type]
            classes.fix(classes.second[node])
    output = ids[graph.output]
    assert isinstance(output, Tensor)
    classes.fix(output)
    classes.of_nodes = ids
    return classes, {name: tensor for name, tensor in elementwise.items() if (name, 0) not in classes.along}
