"""Students that keep whole channels and whole repeated parts of their teacher: the plain ways, which are controls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from autocompress.shrink.axes import AxisTable
from autocompress.shrink.importance import largest


class Selection:
    """Makes the weights of students from a teacher's most important channels and repeated parts.

    `weights` are the teacher's and `scores` the importance of their elements, by parameter name, as `norm_importance`
    and `taylor_importance` give it. A channel's or a part's importance is the sum over all elements that belong to it.
    What stays keeps its order. `parts` are as for `groups_of`.
    """

    def __init__(
        self, weights: Mapping[str, Tensor], scores: Mapping[str, Tensor], axes: AxisTable, parts: tuple[str, ...]
    ) -> None:
        self.weights = weights
        self.scores = scores
        self.axes = axes
        self.parts = parts
        self.channels = axes.importance(scores)

    def kept(self, axis: str, size: int) -> Tensor:
        """The channels of this axis that a student of `size` keeps, in ascending order."""
        return largest(self.channels[axis], size)

    def part_importance(self, holder: str) -> Tensor:
        """The importance of each repeated part under this module path."""
        parts = (f"{holder}.{index}." for index in range(_count(self.scores, holder)))
        return torch.stack([self._total(part) for part in parts])

    def _total(self, prefix: str) -> Tensor:
        return torch.stack([score.sum() for name, score in self.scores.items() if name.startswith(prefix)]).sum()

    def sources(self, names: Iterable[str]) -> dict[str, str]:
        """The teacher's part that each part of a student comes from, both as `body.3.`; `names` are its parameters'."""
        source_names: dict[str, str] = {}
        level = {"": ""}
        for holder in self.parts:
            inner: dict[str, str] = {}
            for ours, theirs in level.items():
                kept = largest(self.part_importance(f"{theirs}{holder}"), _count(names, f"{ours}{holder}"))
                inner |= {f"{ours}{holder}.{new}.": f"{theirs}{holder}.{old}." for new, old in enumerate(kept.tolist())}
            source_names |= inner
            level = inner
        return source_names

    def student(self, shapes: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of a student, by parameter name; `shapes` are tensors with the names and shapes of its own."""
        sources, weights = self.sources(shapes), {}
        for name, empty in shapes.items():
            part = max((part for part in sources if name.startswith(part)), key=len, default="")
            source = sources.get(part, "") + name.removeprefix(part)
            weight = self.weights[source]
            for index, dimension in enumerate(self.axes.dimensions.get(source, ())):
                if dimension.axis:
                    channels = self.kept(dimension.axis, empty.shape[index] // dimension.rows)
                    weight = weight.index_select(index, dimension.spread(channels))
            weights[name] = weight
        return weights


def _count(names: Iterable[str], holder: str) -> int:
    """How many parts there are under a module path."""
    pattern = re.compile(rf"{re.escape(holder)}\.(\d+)\.")
    return 1 + max((int(match[1]) for name in names if (match := pattern.match(name))), default=-1)
