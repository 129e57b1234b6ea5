"""What layers and their parameters do to classes of channels: where classes begin."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, fx

from autocompress.shrink.classes import FIXED, NOTHING, Classes, Freedom
from autocompress.shrink.graph import Layer, shape


def classes_of_constant(tensor: Tensor, learned: bool, classes: Classes) -> Tensor:
    """Each value of a small constant may belong to a channel; those of a layer's weight are never asked for.

    Of a parameter with several dimensions, such as the tokens of a dictionary, those along the dimension that has the
    channels in most networks do: of an image (B, C, H, W) the second, else the last. Where that is not so, the channels
    that it meets become one class, so none of them can go.
    """
    if tensor.numel() == 1:
        return torch.full(tensor.shape, NOTHING)
    large = [dimension for dimension, size in enumerate(tensor.shape) if size > 1]
    of_channels = 1 if tensor.dim() == 4 else tensor.dim() - 1
    if len(large) > 1 and not (learned and of_channels in large):
        return torch.full(tensor.shape, FIXED)
    dimension = large[0] if len(large) == 1 else of_channels
    view = [1] * tensor.dim()
    view[dimension] = tensor.shape[dimension]
    return classes.new(tensor.shape[dimension]).view(view).expand(tensor.shape)


def classes_of_layer(layer: Layer, ids: Mapping[fx.Node, Tensor | list[Tensor]], classes: Classes) -> Tensor:
    """A convolution or linear layer: new classes, or the old ones where it works on each channel alone."""
    x, result = ids[layer.input], shape(layer.node)
    assert isinstance(x, Tensor)
    dimension = x.dim() - 1 if layer.kind == "linear" else x.dim() - 3
    read = classes.of_channels(x, dimension)
    outputs = result[dimension]
    out_dimension, in_dimension = (1, 0) if layer.kind == "conv_transpose2d" else (0, 1)
    if layer.groups == 1:
        written = classes.new(outputs)
        classes.put_along(layer.weight, in_dimension, read)
        classes.put_along(layer.weight, out_dimension, written)
    elif layer.groups == len(read) and layer.kind == "conv2d":
        written = read.repeat_interleave(outputs // len(read))
        classes.limit(read, Freedom.SELECT)
        classes.put_along(layer.weight, 0, written)
    elif layer.groups == len(read) == outputs:  # a transposed one
        written = read
        classes.limit(read, Freedom.SELECT)
        classes.put_along(layer.weight, 0, read)
    elif layer.kind == "conv2d":
        written = classes.new(outputs)
        for channels in (read, written):
            classes.tie(channels, layer.groups)
        classes.put_along(layer.weight, 1, read[: len(read) // layer.groups])
        classes.put_along(layer.weight, 0, written)
    else:
        classes.fix(read)
        written = torch.full((outputs,), FIXED)
        classes.reasons[layer.weight] = f"a {layer.kind} of {layer.groups} groups"
    if layer.bias is not None:
        classes.put_along(layer.bias, 0, written)
    view = [1] * len(result)
    view[dimension] = outputs
    return written.view(view).expand(result)
