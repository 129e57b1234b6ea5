"""Networks of a user's own code: a family is made of a callable in a Python file and of the teacher's arguments.

`code` runs the user's file and builds its networks, `counts` finds the arguments that a search may vary, `cost` counts
FLOPs by formula, `network` is the config and the network. All shrinking is the engine's, by the network's graph. It may
import `networks` (base, engine_family, weights, recipes), `shrink`, `compute` and what is below them, and no other
family.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from autocompress.compute import flops
from autocompress.errors import ConfigError, InvalidInput
from autocompress.networks.base import Config, Count, SRNetwork, Weights, narrowed
from autocompress.networks.custom.arguments import Variation, changed, variations
from autocompress.networks.custom.code import Builder, matching
from autocompress.networks.custom.cost import CostModel, Interpolation
from autocompress.networks.custom.counts import counts
from autocompress.networks.custom.input_range import in_best_range
from autocompress.networks.custom.network import CustomConfig, CustomNetwork, measured_scale
from autocompress.networks.custom.students import is_student, shares_heads
from autocompress.networks.engine_family import EngineFamily
from autocompress.networks.recipes import FamilyRecipe
from autocompress.networks.weights import check_parameters
from autocompress.shrink.channels import ChannelMap, fixed_parameters
from autocompress.shrink.graph import Graph

COUNTED_SIDE = 48  # LR pixels of the image on which fvcore counts, as `flops.count_flops` does


class CustomFamily(EngineFamily):
    """The networks that a user's code builds of `arguments`, and of smaller ones; its name is the callable's."""

    config_class = CustomConfig
    network_class = CustomNetwork
    derives_space = True
    recipe = FamilyRecipe(prune_learning_rate=0.03)  # at 0.1 the published RLFN diverges

    def __init__(self, code: Builder, arguments: Mapping[str, Any]) -> None:
        self.name = code.name
        self.code = code
        self.code_digest = code.digest
        self.arguments = {**code.defaults(), **arguments}

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: the code and its arguments are all that matters."""
        return CustomFamily, (self.code, self.arguments)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself: a network's copy is of the same family, and what was found of that is not found again."""
        return self

    def of_teacher(self, arguments: Mapping[str, Any]) -> CustomFamily:
        """The family of the same code whose teacher has these arguments."""
        return CustomFamily(self.code, arguments)

    def covers(self, arguments: Mapping[str, Any]) -> bool:
        """Whether a network of these arguments is the teacher, or as its students are: smaller in what may vary."""
        given = {**self.arguments, **arguments}
        try:
            numbers = {field: variation.number(given) for field, variation in self._known.items()}
            smaller = all(number <= self._known[field].number(self.arguments) for field, number in numbers.items())
        except (IndexError, TypeError, ValueError):  # a list in the place of a number, or a shorter one
            return False
        return smaller and _as_json(changed(self.arguments, numbers, self._known)) == _as_json(given)

    @functools.cached_property
    def values(self) -> Mapping[Count, tuple[float, ...]]:
        """What may vary, with the values that the code takes."""
        return counts(self.code, self.arguments, self._known, self._channels, self._graph.used, self._scale)

    @functools.cached_property
    def _known(self) -> dict[str, Variation]:
        """All that is tried, by field."""
        return {variation.field: variation for variation in variations(self.arguments)}

    @functools.cached_property
    def _scale(self) -> int:
        return measured_scale(self.code.build(self.arguments), odd=self.code.checks_sizes)

    @property
    @override
    def perhaps_varied(self) -> list[str]:
        return list(self._known)

    @property
    def counts(self) -> tuple[Count, ...]:  # type: ignore[override]
        """The arguments that change a network's size, found by trying."""
        return tuple(self.values)

    @override
    def values_of(self, count: Count) -> tuple[float, ...]:
        return self.values[count]

    def config(self, input_range: float = 1.0) -> CustomConfig:
        """That of the teacher; ConfigError where the code's network does not enlarge images."""
        plain = {name: value for name, value in self.arguments.items() if _is_plain(value)}
        return CustomConfig.of(self._scale, plain, input_range)

    @override
    def build(self, config: Config) -> CustomNetwork:
        custom = narrowed(CustomConfig, config)
        module = self.code.build({**self.arguments, **custom.values})
        return CustomNetwork(self, custom, module)

    def with_tensors(self, tensors: Weights, input_range: float | None = None) -> CustomNetwork:
        """The teacher with the tensors of a file, in eval mode; `input_range` is found by trying where it is None.

        Raises CheckpointError where the tensors are not those of the code's network.
        """
        network = self.build(self.config(input_range or 1.0))
        own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        matched = matching(tensors, own)
        check_parameters(network, matched)
        network.load_state_dict(matched)
        network = network.float().eval()
        return network if input_range is not None else in_best_range(network)

    @override
    def shapes(self, config: Config) -> Mapping[str, tuple[int, ...]]:
        return self._shapes_of(narrowed(CustomConfig, config).arguments)

    @functools.lru_cache(maxsize=100_000)  # noqa: B019  (a family lives as long as the process)
    def _shapes_of(self, arguments: str) -> Mapping[str, tuple[int, ...]]:
        return self.code.shapes({**self.arguments, **CustomConfig(1, arguments).values})

    @functools.cached_property
    def _costs(self) -> CostModel:
        counted = flops.counted(self.code.build(self.arguments).eval(), COUNTED_SIDE)
        return CostModel(self._graph, Fraction(counted, COUNTED_SIDE**2))

    def fixed(self) -> dict[str, str]:
        """The layers of which no channel can go, and why."""
        channels = self._channels
        whole = fixed_parameters(channels, (layer.weight for layer in self._graph.layers()))
        return dict.fromkeys(whole, "its channels are those of the image, or meet what stays") | dict(channels.reasons)

    @functools.cached_property
    def _channels(self) -> ChannelMap:
        return ChannelMap.of(self._graph, with_heads=True)

    @functools.cached_property
    def _graph(self) -> Graph:
        image = torch.zeros(1, 3, COUNTED_SIDE, COUNTED_SIDE)
        return Graph.capture(self.code.build(self.arguments), image)

    @functools.cached_property
    def _buffers(self) -> frozenset[str]:
        module = self.code.skeleton(self.arguments)
        parameters = {name for name, _ in module.named_parameters()}
        return frozenset(name for name in module.state_dict() if name not in parameters)

    @override
    def flops(self, config: Config) -> int:
        per_pixel = self._costs.flops(self.shapes(config))
        if not self._costs.explained and self.values:
            per_pixel += self._left(self.counts_of(config))
        return flops.at_720p(per_pixel, config.scale)

    @functools.cached_property
    def _left(self) -> Interpolation:
        """The FLOPs of students for each LR pixel that the formula does not have: zero where it has all that change."""

        def left(numbers: Mapping[str, float]) -> Fraction:
            arguments = changed(self.arguments, numbers, self._known)
            counted = Fraction(flops.counted(self.code.build(arguments).eval(), COUNTED_SIDE), COUNTED_SIDE**2)
            return counted - self._costs.flops(self.code.shapes(arguments))

        middle = {
            count.field: values[len(values) // 2 - (len(values) % 2 == 0)] for count, values in self.values.items()
        }
        together = [middle] if self.takes(middle) else [{name: value} for name, value in middle.items()]
        if not any(map(left, together)):
            return Interpolation({}, lambda _: Fraction(0))
        nodes = {count.field: _nodes(count, values) for count, values in self.values.items()}
        matters = {field: at for field, at in nodes.items() if left({field: at[0]})}
        return Interpolation(matters, left)

    @override
    def params(self, config: Config) -> int:
        sizes = self.shapes(config).items()
        return sum(torch.Size(size).numel() for name, size in sizes if name not in self._buffers)

    @override
    def read(self, tensors: Weights) -> tuple[Config, dict[str, Tensor]] | None:
        """No file is taken for one of a user's code unless they say so."""
        return None

    @override
    def for_export(self, network: SRNetwork) -> SRNetwork:
        return network

    @override
    def official_code(self, config: Config) -> tuple[str, str] | None:
        arguments = ", ".join(f"{name}={value!r}" for name, value in narrowed(CustomConfig, config).values.items())
        return self.code.importing, f"network = {self.name}({arguments})"

    @override
    def captured(self, network: SRNetwork) -> nn.Module:
        """The user's own module."""
        return narrowed(CustomNetwork, network).network

    @override
    def images_for(self, network: SRNetwork, lr: Tensor) -> Tensor:
        return lr * narrowed(CustomNetwork, network).input_range

    @override
    def shrinkable(self, teacher: SRNetwork) -> SRNetwork:
        """Itself: it may be a module of the user's, whose parameters stay as they are."""
        return teacher

    @override
    def counts_of(self, config: Config) -> dict[str, float]:
        values = {**self.arguments, **narrowed(CustomConfig, config).values}
        return {count.field: self._known[count.field].number(values) for count in self.counts}

    def takes(self, values: Mapping[str, float]) -> bool:
        """Whether these values together give a student, among them some that are not in the derived space.

        That has what the code takes beside the teacher's other values: where a count may exceed no other, say, fewer.
        """
        return self._tried(tuple(sorted(values.items())))

    @functools.lru_cache(maxsize=1000)  # noqa: B019  (a family lives as long as the process)
    def _tried(self, values: tuple[tuple[str, float], ...]) -> bool:
        shapes = self.code.tried(changed(self.arguments, dict(values), self._known), self._scale)
        return shapes is not None and is_student(
            shapes, self.code.shapes(self.arguments), self._channels, self._graph.used
        )

    @override
    def student_config(self, teacher: Config, fields: Mapping[str, Any]) -> CustomConfig:
        custom, known = narrowed(CustomConfig, teacher), {count.field: values for count, values in self.values.items()}
        for name in fields:
            if name not in known:
                raise ConfigError(f"{name} is nothing that varies in {self.name}; {', '.join(known)} do")
        other = [name for name, value in fields.items() if value not in known[name]]
        if other and not self.takes(fields):
            name, others = other[0], "" if len(fields) == 1 else ", with the others as given"
            raise ConfigError(f"{name} is {fields[name]}, but {self.name} takes {known[name]}{others}")
        arguments = changed({**self.arguments, **custom.values}, fields, self._known)
        plain = {name: value for name, value in arguments.items() if _is_plain(value)}
        config = CustomConfig.of(custom.scale, plain, custom.input_range)
        given = ", ".join(f"{name} {value}" for name, value in fields.items())
        try:
            shapes = self.shapes(config)
        except InvalidInput as error:  # each value is one that it takes, but not beside the others
            raise ConfigError(f"{self.name} has no student of {given}: {error}") from error
        if self._channels.heads and not shares_heads(shapes, self.code.shapes(self.arguments), self._channels):
            raise ConfigError(
                f"{self.name} has no student of {given}: all heads must have the same number of channels; "
                "give a multiple of their number"
            )
        return config


def _nodes(count: Count, values: Sequence[float]) -> tuple[float, ...]:
    """Values of a count from which a polynomial follows."""
    return tuple(sorted({values[0], values[-1]} | (set() if count.what == "parts" else {values[len(values) // 2]})))


def _as_json(arguments: Mapping[str, Any]) -> str:
    """Equal for lists and tuples of equal entries."""
    return json.dumps(arguments, sort_keys=True, default=repr)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str | list | tuple)
