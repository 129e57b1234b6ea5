"""The first trials: known good students, and others of different shapes at costs spread evenly up to the budget."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from autocompress.distill.recipe import Recipe
from autocompress.errors import ConfigError
from autocompress.networks import PRESETS
from autocompress.networks.base import Config
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.space.joint_space import Key, Network, StudentSpace
from autocompress.search.space.search_space import Values

MAX_INITIAL = 8  # trials before the sampler is asked
ROUNDS = 5  # how often they are chosen again after latencies were measured
WIDTHS = (-0.6, -0.1)  # of two shapes, see `_relative_width`: narrow and deep, and balanced


@dataclass(frozen=True)
class _Sized:
    """A network's point, its cost, and its shape."""

    values: Values
    cost: float
    width: float  # see `_relative_width`


def first_points(feasible: FeasibleSet, count: int, suggested: Mapping[str, Config] | None = None) -> list[Values]:
    """Up to `count` different points for a study, evenly over the spaces, the cheapest first: a front is there soon.

    For each space they are: the student within the budget that is nearest in shape and FLOPs to the one `suggested`;
    the paper's student, or the one of the space next to it, if within the budget; then those of `spread`. If latency
    counts, it is guessed for this choice and then measured for the points chosen. If some are not within the budget,
    the points are chosen again with the guesses that the measurements have improved. Raises as `spread` does.
    """
    fast: list[Values] = []
    for _ in range(ROUNDS):
        points = _choose(feasible, count, suggested or {})
        fast = [point for point in points if feasible.fast_enough(point)]
        if fast == points:
            break
    return sorted(fast, key=lambda point: _cost(feasible, point))


def _cost(feasible: FeasibleSet, point: Values) -> float:
    joint_space = feasible.joint_space
    candidate = joint_space.candidate(point, Recipe())
    return feasible.costs.guess(joint_space[candidate.space].family, candidate.config)


def _choose(feasible: FeasibleSet, count: int, suggested: Mapping[str, Config]) -> list[Values]:
    joint_space = feasible.joint_space
    count_each = -(-count // len(joint_space))
    columns = [
        [
            joint_space.in_study(student_space, values)
            for values in _for_space(feasible, student_space, count_each, suggested.get(student_space.name))
        ]
        for student_space in joint_space
    ]
    points: dict[Key, Values] = {}
    for point in itertools.chain.from_iterable(itertools.zip_longest(*columns)):
        if point is not None:
            points.setdefault(joint_space.key(joint_space.candidate(point, Recipe())), point)
    return list(points.values())[:count]


def _for_space(
    feasible: FeasibleSet, student_space: StudentSpace, count: int, suggested: Config | None
) -> list[Values]:
    points = [] if suggested is None else [_nearest(feasible, student_space, suggested)]
    presets = [config for family, config in PRESETS.values() if family == student_space.family.name]
    points += [values for values in map(student_space.space.nearest, presets) if _fits(feasible, student_space, values)]
    return points + spread(feasible, student_space, count)


def _nearest(feasible: FeasibleSet, student_space: StudentSpace, config: Config) -> Values:
    """The network within the budget whose cost and shape are the nearest to another's."""
    sizes = _sizes(feasible, student_space)
    cost = feasible.costs.guess(student_space.family, config)
    target = min(math.log(cost), math.log(sizes[-1].cost))
    return _nearest_to(sizes, target, _relative_width(student_space, config)).values


def _fits(feasible: FeasibleSet, student_space: StudentSpace, values: Values) -> bool:
    """Whether a point's network exists for this teacher and is within the budget."""
    try:
        candidate = student_space.space.candidate(values, student_space.teacher.config, Recipe())
    except ConfigError:
        return False
    return feasible.includes(student_space, Network(values, candidate.config, candidate.flops, candidate.params))


def spread(feasible: FeasibleSet, student_space: StudentSpace, count: int) -> list[Values]:
    """Up to `count` points: for each of count / 2 costs up to the budget, a narrow and deep network and a balanced one.

    There are two because it is not known beforehand which shape is better. Raises SpaceError, naming the smallest
    network, if nothing in the space fits the budget.
    """
    sizes = _sizes(feasible, student_space)
    low, high = math.log(sizes[0].cost), math.log(sizes[-1].cost)
    levels = max(2, (count + 1) // 2)
    chosen: dict[int, Values] = {}
    for level in range(levels):
        target = low + (high - low) * level / (levels - 1)
        for width in WIDTHS:
            nearest = _nearest_to(sizes, target, width)
            chosen.setdefault(sizes.index(nearest), nearest.values)
    return list(chosen.values())[:count]


def _nearest_to(sizes: list[_Sized], log_cost: float, width: float) -> _Sized:
    return min(sizes, key=lambda size: 2 * abs(math.log(size.cost) - log_cost) + abs(size.width - width))


def _sizes(feasible: FeasibleSet, student_space: StudentSpace) -> list[_Sized]:
    """The networks of the space within the budget, by what they cost; raises as `FeasibleSet.check`."""
    feasible.check(student_space)
    sizes = [
        _Sized(network.values, feasible.cost(student_space, network), _relative_width(student_space, network.config))
        for network in feasible.within(student_space)
    ]
    return sorted(sizes, key=lambda size: size.cost)


def _relative_width(student_space: StudentSpace, config: Config) -> float:
    """The share of the teacher's first count (its width) that a student keeps, minus that of its other counts.

    Optional counts are not counted: a space may leave them out, and a student may have more of them than its teacher.
    """
    family = student_space.family
    ours, theirs = family.counts_of(config), family.counts_of(family.as_own(student_space.teacher.config))
    first, *others = (ours[c.field] / theirs[c.field] for c in family.counts if not c.optional)
    return first - sum(others) / len(others) if others else 0.0
