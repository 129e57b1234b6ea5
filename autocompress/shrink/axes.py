"""Named axes: which channels of a network live or die together, and which of its parts are repeated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Dimension:
    """One dimension of a parameter: the axis that it runs along, and its rows for each channel of that axis.

    PixelShuffle by 2 makes one channel of 4: what it reads has 4 rows a channel. An axis without a name is never cut.
    """

    axis: str
    rows: int = 1

    def spread(self, channels: Tensor) -> Tensor:
        """The rows of these channels."""
        return (channels[:, None] * self.rows + torch.arange(self.rows, device=channels.device)).flatten()


@dataclass(frozen=True)
class AxisTable:
    """The dimensions of a network's parameters, by parameter name; those of one that is not named are never cut.

    All parameters with a dimension along the same axis lose the same channels. A family declares its table
    (`declared`); one that is read off a network's graph holds the same.
    """

    dimensions: Mapping[str, tuple[Dimension, ...]]

    @classmethod
    def declared(cls, layers: Mapping[str, tuple[str, ...]], parameters: Iterable[str]) -> AxisTable:
        """The table of these parameters, from the axes of layers by module path: (of the outputs, of the inputs).

        For example `{"body.*.conv1": ("inner.*", "stream"), "upsample.0": ("hr:4", "stream")}`: a `*` in a path stands
        for any number, and in an axis for the same one; `hr:4` has 4 rows a channel. A bias runs along the outputs, as
        do the gain and the bias of a norm.
        """
        patterns = {re.compile(re.escape(path).replace(r"\*", r"(\d+)")): axes for path, axes in layers.items()}
        table = {}
        for name in parameters:
            module, _, leaf = name.rpartition(".")
            for pattern, axes in patterns.items():
                if match := pattern.fullmatch(module):
                    dimensions = tuple(_dimension(axis, match.groups()) for axis in axes)
                    table[name] = dimensions if leaf == "weight" else dimensions[:1]
        return cls(table)

    def importance(self, scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of each axis' channels: the sum of the scores, by parameter name, of all elements that belong to one."""
        total: dict[str, Tensor] = {}
        for name, score in scores.items():
            for index, dimension in enumerate(self.dimensions.get(name, ())):
                if dimension.axis:
                    others = [other for other in range(score.dim()) if other != index]
                    rows = score.sum(others) if others else score
                    channels = rows.view(-1, dimension.rows).sum(1)
                    total[dimension.axis] = total[dimension.axis] + channels if dimension.axis in total else channels
        return total


def _dimension(axis: str, numbers: Iterable[str]) -> Dimension:
    for number in numbers:
        axis = axis.replace("*", number, 1)
    name, _, rows = axis.partition(":")
    return Dimension(name, int(rows or 1))


def groups_of(layer: str, parts: Iterable[str]) -> tuple[str, ...]:
    """The repeated parts that a layer (a module path) is in, outermost first.

    `parts` are the paths of what holds repeated parts, outermost first, each but the first inside one of the part
    before: ("layers", "residual_group.blocks") for layers such as `layers.0.residual_group.blocks.2.mlp.fc1`.
    """
    groups: list[str] = []
    for holder in parts:
        prefix = f"{groups[-1]}.{holder}" if groups else holder
        match = re.match(rf"{re.escape(prefix)}\.\d+(?=\.)", layer)
        if match is None:
            break
        groups.append(match[0])
    return tuple(groups)
