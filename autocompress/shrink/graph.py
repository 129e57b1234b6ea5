"""A network's graph of ATen operations, captured by torch.export, and running it node by node."""

from __future__ import annotations

import io
import logging
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from autocompress.errors import ConfigError, cut
from autocompress.progress import finished
from autocompress.shrink.decompositions import replacements, stays

Values = dict[fx.Node, list[Any]]  # what a node computes for each image of a batch, which are run one by one
SAME = 1e-4  # of the largest value
PACKAGES = {"site-packages", "dist-packages", "autocompress", f"python{sys.version_info[0]}.{sys.version_info[1]}"}
MESSAGE = 300  # characters of what PyTorch says that are passed on


@dataclass(frozen=True, eq=False)
class Graph:
    """The operations of a network on one image (1, 3, h, w), in the order in which they run, without in-place ones.

    `constants` are the names of the nodes that stand for parameters and buffers; `state` are their tensors, and
    `learned` the names of the parameters among them.
    """

    calls: tuple[fx.Node, ...]
    constants: Mapping[fx.Node, str]
    state: Mapping[str, Tensor]
    learned: frozenset[str]
    image: fx.Node
    output: fx.Node

    @classmethod
    def capture(cls, network: nn.Module, image: Tensor) -> Graph:
        """The graph of a network in eval mode on an image (1, 3, h, w); ConfigError where PyTorch cannot capture it.

        Where that is so in eval mode alone, in which some networks compute their weights anew, and it computes the same
        in training, it is the graph of that. It holds for images of this size alone.
        """
        program = _exported(network.eval(), image)
        signature = program.graph_signature
        names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        names |= signature.inputs_to_lifted_tensor_constants
        stored = {**program.state_dict, **program.constants}
        nodes = list(program.graph.nodes)
        constants = {node: names[node.name] for node in nodes if node.op == "placeholder" and node.name in names}
        images = [node for node in nodes if node.op == "placeholder" and node.name in signature.user_inputs]
        outputs = [node for node in nodes if node.name in signature.user_outputs]
        if len(images) != 1 or len(outputs) != 1:
            raise ConfigError(
                f"{type(network).__name__} has {len(images)} inputs and {len(outputs)} outputs, "
                "but a network to shrink has one image as input and one as output"
            )
        return cls(
            tuple(node for node in nodes if node.op == "call_function"),
            constants,
            _stored(stored, constants.values()),
            frozenset(signature.inputs_to_parameters.values()),
            images[0],
            outputs[0],
        )

    @cached_property
    def used(self) -> frozenset[str]:
        """The parameters and buffers that an operation reads: not those that are computed of others."""
        return frozenset(name for node, name in self.constants.items() if node.users)

    @cached_property
    def from_image(self) -> frozenset[fx.Node]:
        """The image, and all that is computed of it: masks and tables of positions are not."""
        found = {self.image}
        for node in self.calls:
            if not found.isdisjoint(node.all_input_nodes):
                found.add(node)
        return frozenset(found)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of its parameters and buffers."""
        return {name: tuple(tensor.shape) for name, tensor in self.state.items()}

    def run(
        self,
        state: Mapping[str, Tensor],
        images: Sequence[Tensor],
        before: Callable[[fx.Node, Values], None] | None = None,
        after: Callable[[fx.Node, Values], None] | None = None,
    ) -> list[Tensor]:
        """The outputs for some images, each (1, 3, h, w), with these parameters and buffers in place of its own.

        `before` and `after` are called around each operation, with the values that later ones read, or it makes;
        `before` may replace tensors in `state`.
        """
        return finished(self.steps(state, images, before, after))

    def steps(
        self,
        state: Mapping[str, Tensor],
        images: Sequence[Tensor],
        before: Callable[[fx.Node, Values], None] | None = None,
        after: Callable[[fx.Node, Values], None] | None = None,
    ) -> Generator[float, None, list[Tensor]]:
        """As `run`; the share of the operations that have run is yielded after each."""
        return self._run(self.calls, state, {self.image: list(images)}, before, after)

    def rest(self, state: Mapping[str, Tensor], values: Values, behind: fx.Node) -> list[Tensor]:
        """The outputs, where `values` are those of `behind` and of what later operations read besides."""
        later = self.calls[self.calls.index(behind) + 1 :]
        return finished(self._run(later, state, dict(values)))

    def _run(
        self,
        calls: Sequence[fx.Node],
        state: Mapping[str, Tensor],
        values: Values,
        before: Callable[[fx.Node, Values], None] | None = None,
        after: Callable[[fx.Node, Values], None] | None = None,
    ) -> Generator[float, None, list[Tensor]]:
        count = len(next(iter(values.values())))
        for number, node in enumerate(calls, 1):
            if before is not None:
                before(node, values)
            if node in self.from_image:
                values[node] = [self._call(node, state, values, index) for index in range(count)]
            else:  # the same for all
                values[node] = [self._call(node, state, values, 0)] * count
            if after is not None:
                after(node, values)
            for done in self._last_uses.get(node, ()):
                values.pop(done, None)
            yield number / len(calls)
        return values[self.output]

    def _call(self, node: fx.Node, state: Mapping[str, Tensor], values: Values, index: int) -> Any:
        def value(argument: fx.Node) -> Any:
            return state[self.constants[argument]] if argument in self.constants else values[argument][index]

        if operation(node) == "copy":  # which has no derivative
            into, source = (value(argument) for argument in node.all_input_nodes)
            return source.expand_as(into)
        assert callable(node.target)
        return node.target(*fx.map_arg(node.args, value), **fx.map_arg(node.kwargs, value))

    @cached_property
    def _last_uses(self) -> dict[fx.Node, list[fx.Node]]:
        """The nodes whose values nobody reads any more after a node."""
        order = {node: index for index, node in enumerate(self.calls)}
        uses: dict[fx.Node, list[fx.Node]] = {}
        for node in (self.image, *self.calls):
            readers = [order[user] for user in node.users if user in order]
            if readers and node is not self.output:
                uses.setdefault(self.calls[max(readers)], []).append(node)
        return uses

    @cached_property
    def gains(self) -> frozenset[str]:
        """The names of the weights of LayerNorms over the last dimension."""
        norms = [node for node in self.calls if operation(node) == "layer_norm" and len(node.args[1]) == 1]  # type: ignore[arg-type]
        weights = (argument(node, "weight", 2, None) for node in norms)
        return frozenset(self.constants[weight] for weight in weights if weight in self.constants)

    def layers(self) -> Iterator[Layer]:
        """The convolutions and linear layers whose weight is a parameter, in order."""
        for node in self.calls:
            kind = operation(node)
            if kind in LAYERS and isinstance(node.args[1], fx.Node) and node.args[1] in self.constants:
                assert isinstance(node.args[0], fx.Node)
                bias = node.args[2] if len(node.args) > 2 else None
                yield Layer(
                    node,
                    kind,
                    node.args[0],
                    self.constants[node.args[1]],
                    self.constants[bias] if isinstance(bias, fx.Node) else None,
                )


def _stored(tensors: Mapping[str, Any], names: Iterable[str]) -> dict[str, Tensor]:
    missing = [name for name in names if not isinstance(tensors.get(name), Tensor)]
    if missing:
        raise ConfigError(
            f"the graph cannot be captured: its {missing[0]} is made anew at each call; "
            "keep it as a parameter or a buffer"
        )
    return {name: tensors[name].detach() for name in names}


def _exported(network: nn.Module, image: Tensor) -> ExportedProgram:
    """The program of a network in eval mode, or else in the training mode that computes the same."""
    try:
        return _captured(network, image)
    except ConfigError:
        if not computes_the_same_in_training(network, image):
            raise
    try:
        return _captured(network.train(), image)
    finally:
        network.eval()


def _captured(network: nn.Module, image: Tensor) -> ExportedProgram:
    try:
        # with gradients: without them networks take operations that do more at once, which say less of their channels
        with _silence(), torch.enable_grad():
            program: ExportedProgram = torch.export.export(network, (image,), strict=False)
            program.graph.eliminate_dead_code()
            if not all(map(stays, program.graph.nodes)):
                # what works in place becomes functional, and nothing else is decomposed but what the table has
                program = program.run_decompositions(replacements())
    except Exception as error:  # anything that the network's code, or PyTorch's compiler, may raise
        reason, at = " ".join(str(error).split())[:MESSAGE], _where(error)
        raise ConfigError(
            f"the graph of {type(network).__name__} cannot be captured{at}: {reason}; write that without what depends "
            "on the values or the size of the image"
        ) from error
    for node in program.graph.nodes:
        if any(not isinstance(size, int) for tensor in _tensors(node) for size in tensor.shape):
            raise ConfigError(
                f"the graph of {type(network).__name__} cannot be captured{_line_of(node)}: what {operation(node)} "
                "makes has a size that depends on the values of the image; write that without such sizes"
            )
    return program


def _tensors(node: fx.Node) -> list[Tensor]:
    """Those that a node makes, without their values."""
    made = node.meta.get("val")
    return [value for value in (made if isinstance(made, tuple | list) else [made]) if isinstance(value, Tensor)]


def _line_of(node: fx.Node) -> str:
    """The line of the user's own code that an operation stands in, as `_where` has it."""
    found = re.findall(r'File "(.*)", line (\d+), in .*\n *(.*)', node.meta.get("stack_trace") or "")
    own = [place for place in found if not PACKAGES & set(Path(place[0]).parts)]
    return "" if not own else f" ({Path(own[-1][0]).name}, line {own[-1][1]}: {cut(own[-1][2])})"


def _where(error: Exception) -> str:
    """The last line of the user's own code that an error came through: neither of PyTorch nor of this package."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.line and Path(frame.filename).is_file() and not PACKAGES & set(Path(frame.filename).parts)
    ]
    return "" if not own else f" ({Path(own[-1].filename).name}, line {own[-1].lineno}: {cut(str(own[-1].line))})"


@torch.no_grad()
def computes_the_same_in_training(network: nn.Module, image: Tensor) -> bool:
    """Whether training mode changes nothing: no dropout, and no norm that looks at the batch."""
    probe = torch.rand(image.shape, generator=torch.Generator().manual_seed(0)).to(image)
    before = {name: tensor.clone() for name, tensor in network.named_buffers()}
    try:
        expected = network(probe)
        found = network.train()(probe)
        return bool((found - expected).abs().max() <= SAME * expected.abs().max())
    except Exception:  # whatever its code raises
        return False
    finally:
        network.eval()
        for name, buffer in network.named_buffers():
            buffer.copy_(before[name])


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what PyTorch says of a graph that it cannot capture, pages of it, from the terminal: it raises as well."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


LAYERS = ("conv2d", "conv_transpose2d", "linear")


@dataclass(frozen=True)
class Layer:
    """A node that multiplies its input by a weight; `weight` and `bias` are parameters' names."""

    node: fx.Node
    kind: str
    input: fx.Node
    weight: str
    bias: str | None

    def argument(self, name: str, position: int, default: Any) -> Any:
        """One of the operation's arguments, such as `stride`."""
        return argument(self.node, name, position, default)

    @property
    def groups(self) -> int:
        """Of a convolution; 1 for a linear layer."""
        if self.kind == "linear":
            return 1
        return int(self.argument("groups", 6, 1))


def argument(node: fx.Node, name: str, position: int, default: Any) -> Any:
    """One of an operation's arguments, which may be given by its place or by its name, or be left out."""
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def operation(node: fx.Node) -> str:
    """An operation's name without its overload, such as `conv2d`; `getitem` for taking one of several results."""
    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        return str(target.overloadpacket.__name__)
    return target if isinstance(target, str) else target.__name__


def shape(node: fx.Node) -> torch.Size:
    """Of what a node computes; of the first where it computes several tensors."""
    value = node.meta["val"]
    return (value[0] if isinstance(value, tuple | list) else value).shape  # type: ignore[no-any-return]


def module_path(node: fx.Node) -> str:
    """The path of the module in whose forward the operation stands, such as `body.3.conv1`."""
    stack = node.meta.get("nn_module_stack") or {}
    return str(list(stack.values())[-1][0]) if stack else ""
