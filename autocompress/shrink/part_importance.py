"""Which of a teacher's repeated parts a student keeps: those without which the output changes most."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from autocompress.shrink.graph import Graph, Values, module_path, operation
from autocompress.shrink.parts import Choice, Parts, entry_and_exit, first_ones, is_within

IMAGES = 16  # of 8 the order is less certain
IMAGES_INSIDE = 4  # for parts that are inside of parts, which are many


def importance_of_parts(
    graph: Graph, kinds: Sequence[Parts], images: Sequence[Tensor], done: Callable[[], object]
) -> dict[str, Tensor]:
    """How much the output changes without each of the parts of some kinds, (count,) by their prefix.

    What has residual parts inside, as groups of transformer layers have, is worth as much as these are: what else it
    adds is linear, as a rule, and those before it can learn to add that. `done` is called after each kind.
    """
    found: dict[str, Tensor] = {}
    for parts in reversed(kinds):  # those inside of others first
        inner = [
            [found[other.prefix].sum() for other in kinds if other.is_inside(parts, index) and _residual(graph, other)]
            for index in range(len(parts.units))
        ]
        if all(inner):
            found[parts.prefix] = torch.stack([torch.stack(each).sum() for each in inner])
        else:
            count = IMAGES_INSIDE if any(parts.is_inside(other) for other in kinds) else IMAGES
            found[parts.prefix] = changes_without(graph, parts, images[:count])
        done()
    return found


def _residual(graph: Graph, parts: Parts) -> bool:
    """Whether each of some parts adds to what it reads."""
    for index in range(len(parts.units)):
        ends = entry_and_exit(graph, parts.paths(index))
        if ends is None:
            return False
        entry, last = ends
        terms = [last]
        while terms and entry not in terms:
            node = terms.pop()
            terms += node.all_input_nodes if operation(node).removesuffix("_") == "add" else []
        if not terms:
            return False
    return True


def changes_without(graph: Graph, parts: Parts, images: Sequence[Tensor]) -> Tensor:
    """How much the output changes without each of some parts (count,): the mean square over the images.

    Left out is a part by passing on what it reads. Where none can be left out, the first are the most important.
    """
    ends = [entry_and_exit(graph, parts.paths(index)) for index in range(len(parts.units))]
    bounds = [end for end in ends if end is not None]
    if len(bounds) < len(ends):
        return torch.arange(len(parts.units), 0, -1).float()
    read: dict[fx.Node, list[Tensor]] = {}  # what each part begins with
    without: dict[fx.Node, list[Tensor]] = {}  # the outputs without the part that ends there

    def before(node: fx.Node, values: Values) -> None:
        ahead = {entry for entry, end in bounds if end not in without}
        for entry in read.keys() - ahead:
            del read[entry]
        read.update({entry: values[entry] for entry in ahead - read.keys() if entry in values})

    def after(node: fx.Node, values: Values) -> None:
        for entry, end in bounds:
            if end is node:
                without[end] = graph.rest(graph.state, {**values, end: read[entry]}, end)

    whole = graph.run(graph.state, images, before, after)
    changes = [sum(F.mse_loss(a, b).item() for a, b in zip(without[end], whole, strict=True)) for _, end in bounds]
    return torch.tensor(changes) / len(images)


def most_important(teacher: Graph, student: Graph, importance: Mapping[str, Tensor]) -> Choice:
    """The choice of those that matter most together, by their prefix in `importance`, among those of the same kind.

    Parts may differ in what they do, though not in their weights, as windows of attention that are shifted in turns: a
    part of a student is one of its teacher's that has the same operations, as far as there are enough.
    """

    def choose(parts: Parts, prefix: str, count: int) -> Sequence[int]:
        if parts.prefix not in importance:
            return first_ones(parts, prefix, count)
        changes = importance[parts.prefix].tolist()
        theirs = [_operations(teacher, parts.paths(index)) for index in range(len(parts.units))]
        units = [[f"{prefix}{number}" for number in unit] for unit in parts.units[:count]]
        ours = [_operations(student, paths) for paths in units]
        return _best(changes, theirs, ours) or sorted(torch.tensor(changes).topk(count).indices.tolist())

    return choose


def _operations(graph: Graph, paths: Sequence[str]) -> tuple[str, ...]:
    """What the modules with these paths do."""
    return tuple(operation(node) for node in graph.calls if any(is_within(module_path(node), path) for path in paths))


def _best(changes: Sequence[float], theirs: Sequence[object], ours: Sequence[object]) -> Sequence[int]:
    """The ascending indices with the largest sum of changes at which theirs are ours; none where there are too few."""
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]  # of the first of ours, as many as the index says
    best += [(-math.inf, ())] * len(ours)
    for index, (change, kind) in enumerate(zip(changes, theirs, strict=True)):
        for place in reversed(range(len(ours))):
            total, chosen = best[place]
            if kind == ours[place] and total >= 0:
                best[place + 1] = max(best[place + 1], (total + change, (*chosen, index)))
    return best[-1][1]
