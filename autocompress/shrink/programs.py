"""Smaller networks of an exported program: its graph again, with fewer channels along its axes and fewer parts.

A program has numbers of channels in its operations, not only in its parameters: the sizes of a split, of a view, the
groups of a convolution. Each follows from which channels a student keeps of the values around it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from autocompress.errors import ConfigError
from autocompress.shrink.channels import ChannelMap
from autocompress.shrink.graph import Graph, argument, operation, shape
from autocompress.shrink.parts import Parts, repeated_parts, spans
from autocompress.shrink.program_modules import check_sizes, module_of, plain_module, with_layers
from autocompress.shrink.propagation import propagate

SIDE = 48  # pixels of the image on which a program is understood
SIZES = {"_unsafe_view", "broadcast_to", "expand", "reshape", "view"}  # given the sizes of what they make
ENDLESS = 2**62  # as the end of a slice


class ProgramGraph:
    """The graph of an exported program, as a module of any image size, and as captured at one size.

    Raises ConfigError for a program that is no network from one image, of any size, to one image.
    """

    def __init__(self, program: ExportedProgram) -> None:
        self.module = plain_module(program)
        check_sizes(self.module)
        self.fixed = Graph.capture(self.module, torch.zeros(1, 3, SIDE, SIDE))
        self._classes = propagate(self.fixed)
        self.channels = ChannelMap.grouped(self._classes)
        self._nodes = self._aligned()

    def _aligned(self) -> dict[fx.Node, fx.Node]:
        """For the nodes of the captured graph those of the module's."""
        ours = [node for node in self.module.graph.nodes if node.op == "call_function" and _makes_tensors(node)]
        if [operation(node) for node in ours] != [operation(node) for node in self.fixed.calls]:
            raise ConfigError("the program's operations depend on the size of the image; give the network's code")
        return dict(zip(self.fixed.calls, ours, strict=True))

    @cached_property
    def parts(self) -> dict[str, Parts]:
        """What can be left out from its end: outermost parts, one behind the other, by their prefix."""
        return {parts.prefix: parts for parts in repeated_parts(self.fixed.shapes) if parts.prefix in self._spans}

    @cached_property
    def _spans(self) -> dict[str, tuple[fx.Node, ...]]:
        """What each part begins with, and what the last one ends with, by prefix."""
        outermost = (parts for parts in repeated_parts(self.fixed.shapes) if not re.search(r"\d+\.", parts.prefix))
        found = {parts.prefix: spans(self.fixed, parts) for parts in outermost}
        return {prefix: bounds for prefix, bounds in found.items() if bounds is not None}

    def shapes(self, sizes: Mapping[int, int], counts: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        """Of the parameters of a student with these sizes of axes, and these counts of parts by prefix."""
        names = _renamed(self.fixed.state, self.parts, counts)
        return {ours: self._size(theirs, sizes) for theirs, ours in names.items()}

    def _size(self, name: str, sizes: Mapping[int, int]) -> tuple[int, ...]:
        size = list(self.fixed.state[name].shape)
        for dimension in range(len(size)):
            for use in self.channels.uses.get((name, dimension), ()):
                whole = self.channels.axes[use.axis].size
                size[dimension] -= use.rows.shape[1] * (whole - sizes.get(use.axis, whole))
        return tuple(size)

    def student(self, sizes: Mapping[int, int], counts: Mapping[str, int]) -> nn.Module:
        """A network of these sizes; its parameters are the teacher's first ones.

        Raises ConfigError where the graph does not say how an operation changes.
        """
        graph = fx.Graph()
        new: dict[fx.Node, fx.Node] = {}
        graph.output(graph.graph_copy(self.module.graph, new))
        of_fixed = {fixed: new[ours] for fixed, ours in self._nodes.items()}
        if sizes:
            rewriting = _Rewriting(self, sizes)
            for fixed, node in of_fixed.items():
                rewriting.rewrite(fixed, node)
        of_fixed[self.fixed.image] = next(node for node in graph.nodes if node.op == "placeholder")
        for prefix, count in counts.items():
            bounds = self._spans[prefix]
            for end in bounds[count + 1 :]:
                of_fixed[end].replace_all_uses_with(of_fixed[bounds[count]])
        graph.eliminate_dead_code()
        names = _renamed(self.fixed.state, self.parts, counts)
        for node in graph.nodes:
            if node.op == "get_attr" and node.target in names:
                node.target = names[node.target]
        graph.lint()
        return with_layers(module_of(graph, {ours: self._first(theirs, sizes) for theirs, ours in names.items()}))

    def _first(self, name: str, sizes: Mapping[int, int]) -> Tensor:
        tensor = self.fixed.state[name]
        for dimension in range(tensor.dim()):
            keep = torch.ones(tensor.shape[dimension], dtype=torch.bool)
            for use in self.channels.uses.get((name, dimension), ()):
                keep[use.rows[sizes.get(use.axis, len(use.rows)) :].flatten()] = False
            if not keep.all():
                tensor = tensor.index_select(dimension, keep.nonzero().flatten())
        made = tensor.detach().clone()
        is_parameter = isinstance(self._parameter(name), nn.Parameter)
        return nn.Parameter(made) if is_parameter else made

    def _parameter(self, name: str) -> object:
        value: Any = self.module
        for part in name.split("."):
            value = getattr(value, part)
        return value

    def kept(self, fixed: fx.Node, sizes: Mapping[int, int]) -> list[tuple[Tensor, ...]]:
        """For each tensor that a node makes: along each dimension, which rows stay (n,)."""
        ids, second = self._classes.of_nodes[fixed], self._classes.second.get(fixed)
        keeps = self._keeps(sizes)
        return [_kept_rows(each, keeps, second) for each in (ids if isinstance(ids, list) else [ids])]

    def _keeps(self, sizes: Mapping[int, int]) -> Tensor:
        """Of each class: whether it stays."""
        key = tuple(sorted(sizes.items()))
        if key not in self._kept_classes:
            self._kept_classes.clear()
            axes, roots = self.channels.axis_of, (self._classes.root(i) for i in range(self._classes.count))
            places = (axes.get(root) for root in roots)
            stays = [place is None or place[1] < sizes.get(place[0], math.inf) for place in places]
            self._kept_classes[key] = torch.tensor(stays)
        return self._kept_classes[key]

    @cached_property
    def _kept_classes(self) -> dict[tuple[tuple[int, int], ...], Tensor]:
        return {}


class _Rewriting:
    """The operations of a student: their numbers of channels follow from the rows that stay."""

    def __init__(self, program: ProgramGraph, sizes: Mapping[int, int]) -> None:
        self._program, self._sizes = program, sizes

    def _kept(self, node: fx.Node) -> list[tuple[Tensor, ...]]:
        return self._program.kept(node, self._sizes)

    def rewrite(self, fixed: fx.Node, node: fx.Node) -> None:
        """Change a node's numbers to the student's; `fixed` is the same of the captured graph."""
        name = operation(fixed)
        if name in SIZES:
            self._sized(fixed, node)
        elif name == "conv2d":
            self._grouped(fixed, node)
        elif name in ("split", "split_with_sizes", "chunk"):
            self._split(fixed, node)
        elif name in ("slice", "narrow", "slice_scatter", "select", "select_scatter"):
            self._sliced(fixed, node, name)
        elif name == "layer_norm":
            size = [int(rows.sum()) for rows in self._kept(fixed)[0]]
            node.update_arg(1, size[-len(node.args[1]) :])  # type: ignore[arg-type]

    def _sized(self, fixed: fx.Node, node: fx.Node) -> None:
        (rows,) = self._kept(fixed)
        given = list(node.args[1])  # type: ignore[arg-type]
        sizes = [int(kept.sum()) for kept in rows]
        old = list(shape(fixed))
        for index, (size, whole) in enumerate(zip(sizes, old, strict=True)):
            at = index - len(old) + len(given)
            if size != whole and given[at] != -1:
                if given[at] != whole:
                    raise ConfigError(f"the size of {node.name} is computed of the number of channels")
                given[at] = size
        node.update_arg(1, given)

    def _grouped(self, fixed: fx.Node, node: fx.Node) -> None:
        groups = argument(fixed, "groups", 6, 1)
        source = fixed.args[0]
        assert isinstance(source, fx.Node)
        if groups == shape(source)[-3] and groups != 1:
            channels = int(self._kept(source)[0][-3].sum())
            if len(node.args) > 6:
                node.update_arg(6, channels)
            else:
                node.update_kwarg("groups", channels)

    def _split(self, fixed: fx.Node, node: fx.Node) -> None:
        dimension = _dimension(fixed, 2)
        sizes = [int(rows[dimension].sum()) for rows in self._kept(fixed)]
        if sizes == [len(rows[dimension]) for rows in self._kept(fixed)]:
            return
        node.target = torch.ops.aten.split_with_sizes.default
        node.args, node.kwargs = (node.args[0], sizes, dimension), {}

    def _sliced(self, fixed: fx.Node, node: fx.Node, name: str) -> None:
        first = 2 if name.endswith("_scatter") else 1  # the position of the dimension
        dimension, source = _dimension(fixed, first, default=0), fixed.args[0]
        assert isinstance(source, fx.Node)
        rows = self._kept(source)[0][dimension]
        if rows.all():
            return
        if name in ("slice", "slice_scatter") and len(fixed.args) > first + 3 and fixed.args[first + 3] != 1:
            raise ConfigError(f"{node.name} takes every so many channels")
        before = torch.cat([torch.zeros(1, dtype=torch.long), rows.cumsum(0)])
        whole = len(rows)

        def position(value: Any) -> Any:
            if not isinstance(value, int) or value >= ENDLESS:
                return value
            return int(before[min(value + whole if value < 0 else value, whole)])

        if name == "narrow":
            start, length = fixed.args[2], fixed.args[3]
            assert isinstance(start, int)
            assert isinstance(length, int)
            node.update_arg(2, position(start))
            node.update_arg(3, position(start + length) - position(start))
            return
        for at in range(first + 1, min(len(fixed.args), first + 3)):
            node.update_arg(at, position(fixed.args[at]))


def _dimension(node: fx.Node, position: int, default: int = 0) -> int:
    given = argument(node, "dim", position, default)
    assert isinstance(given, int)
    source = node.args[0]
    assert isinstance(source, fx.Node)
    return given % len(shape(source))


def _kept_rows(ids: Tensor, keeps: Tensor, second: Tensor | None = None) -> tuple[Tensor, ...]:
    """Along each dimension, the rows of which something stays; ConfigError where these are no block."""
    index = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in ids.stride())
    stays = keeps[ids[index]] if second is None else keeps[ids] & keeps[second]
    rows = []
    for dimension in range(stays.dim()):
        others = [other for other in range(stays.dim()) if other != dimension]
        rows.append(stays.any(dim=others[0]) if len(others) == 1 else stays.movedim(dimension, 0).flatten(1).any(1))
    if stays.dim() and int(stays.sum()) != math.prod(int(kept.sum()) for kept in rows):
        raise ConfigError("channels that stay and channels that go are mixed in one dimension")
    return tuple(kept.expand(size) for kept, size in zip(rows, ids.shape, strict=True))


def _renamed(state: Mapping[str, Tensor], parts: Mapping[str, Parts], counts: Mapping[str, int]) -> dict[str, str]:
    """A student's names of the parameters that stay: what follows parts that are gone in a sequence moves up."""
    names = {name: name for name in state}
    for prefix, count in counts.items():
        units = parts[prefix].units
        gone = [number for unit in units[count:] for number in unit]
        for name in list(names):
            match = re.match(rf"{re.escape(prefix)}(\d+)(?=\.)", name)
            if match is None or not gone:
                continue
            number = int(match[1])
            if number in gone:
                del names[name]
            elif number > gone[-1]:
                names[name] = f"{prefix}{number - len(gone)}{name[match.end() :]}"
    return names


def _makes_tensors(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor | tuple | list)
