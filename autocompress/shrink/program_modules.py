"""Exported programs as modules: plain operations on tensors, or with the layers as modules, as code has them."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from autocompress.errors import ConfigError
from autocompress.shrink.graph import LAYERS, argument, operation

TRIED = ((1, 3, 40, 56), (2, 3, 33, 64))  # sizes of images that a program must take


def check_sizes(module: nn.Module) -> None:
    """Raises ConfigError where a module does not take images of any size."""
    for size in TRIED:
        try:
            with torch.no_grad():
                module(torch.zeros(size))
        except Exception as error:  # whatever its operations raise
            raise ConfigError(
                f"the program does not take images of {size[2]}x{size[3]} pixels in a batch of {size[0]}; export it "
                "for images of any size, with dynamic_shapes=({0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO},) and an example "
                "of 2 images"
            ) from error


def module_of(graph: fx.Graph, state: Mapping[str, Tensor]) -> fx.GraphModule:
    """A network of a graph and of its parameters by dotted name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fx.GraphModule(dict(state), graph, "Program").eval()


def plain_module(program: ExportedProgram) -> fx.GraphModule:
    """The program as a module from one image (B, 3, H, W) to one tensor, without operations in place and guards.

    Raises ConfigError for one of more inputs or outputs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported: Any = program.run_decompositions({}).module(check_guards=False)
    images = [node for node in exported.graph.nodes if node.op == "placeholder"]
    (output,) = (node for node in exported.graph.nodes if node.op == "output")
    made: Sequence[Any] = output.args[0] if isinstance(output.args[0], list | tuple) else output.args
    if len(images) != 1 or len(made) != 1:
        raise ConfigError(
            f"the program has {len(images)} inputs and {len(made)} outputs, but a network to shrink has one image as "
            "input and one as output"
        )
    graph, new = fx.Graph(), dict[fx.Node, fx.Node]()
    graph.graph_copy(exported.graph, new)
    graph.output(new[made[0]])
    graph.eliminate_dead_code()
    used = {node.target for node in graph.nodes if node.op == "get_attr"}
    state = {name: value for name, value in _tensors(exported).items() if name in used}
    return module_of(graph, {name: copy.deepcopy(value) for name, value in state.items()})


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    found: dict[str, Tensor] = dict(module.named_parameters()) | dict(module.named_buffers())
    for name, value in vars(module).items():  # constants that were lifted out of the code
        if isinstance(value, Tensor):
            found[name] = value
    return found


def with_layers(module: fx.GraphModule) -> fx.GraphModule:
    """The same module, in which convolutions and linear layers are modules of their own, under the same names.

    What trains networks tells their weights from other parameters by that, and which of them read or make colours.
    """
    graph = module.graph
    calls: dict[str, list[fx.Node]] = {}
    for node in graph.nodes:
        path = _path_of_layer(module, node)
        if path is not None:
            calls.setdefault(path, []).append(node)
    read = Counter(node.target for node in graph.nodes if node.op == "get_attr" for _ in node.users)
    for path, nodes in calls.items():
        weight = f"{path}.weight"
        if read[weight] != len(nodes) or any(_settings(node) != _settings(nodes[0]) for node in nodes):
            continue  # something else reads it, too
        module.set_submodule(path, _layer(nodes[0], module.get_submodule(path)))
        for node in nodes:
            with graph.inserting_before(node):
                call = graph.call_module(path, (node.args[0],))
            call.meta = node.meta
            node.replace_all_uses_with(call)
            graph.erase_node(node)
    graph.eliminate_dead_code()
    module.recompile()
    return module


def _path_of_layer(module: fx.GraphModule, node: fx.Node) -> str | None:
    """The path of what holds the weight and the bias of a layer, and nothing else; None for other operations."""
    if node.op != "call_function" or operation(node) not in LAYERS:
        return None
    tensors = {"weight": argument(node, "weight", 1, None), "bias": argument(node, "bias", 2, None)}
    names = {leaf: tensor.target for leaf, tensor in tensors.items() if isinstance(tensor, fx.Node)}
    path = str(names["weight"]).rpartition(".")[0]
    if not path or any(names[leaf] != f"{path}.{leaf}" for leaf in names):
        return None
    holder = module.get_submodule(path)
    return path if holder.state_dict().keys() == dict(holder.named_parameters()).keys() == names.keys() else None


def _settings(node: fx.Node) -> dict[str, Any]:
    """How a convolution is computed, as its module has it."""
    given = {"stride": (3, 1), "padding": (4, 0), "groups": (6, 1)}
    transposed = operation(node) == "conv_transpose2d"
    given |= {"output_padding": (5, 0), "dilation": (7, 1)} if transposed else {"dilation": (5, 1)}
    found = {name: argument(node, name, *place) for name, place in given.items()}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def _layer(node: fx.Node, tensors: nn.Module) -> nn.Module:
    """The module for a convolution or a linear layer whose weight and bias are in `tensors`."""
    own = dict(tensors.named_parameters())
    outputs, inputs, *kernel = own["weight"].shape
    made: nn.Module
    if not kernel:
        made = nn.Linear(inputs, outputs, "bias" in own, device="meta")
    else:
        settings = _settings(node) | {"kernel_size": tuple(kernel), "bias": "bias" in own, "device": "meta"}
        if operation(node) == "conv_transpose2d":
            made = nn.ConvTranspose2d(outputs, inputs * settings["groups"], **settings)
        else:
            made = nn.Conv2d(inputs * settings["groups"], outputs, **settings)
    for name, parameter in own.items():
        setattr(made, name, parameter)
    return made.eval()
