"""The first trials: known good students, and others of different shapes at costs spread evenly up to the budget."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from autocompress.distill.recipe import Recipe
from autocompress.errors import ConfigError, SpaceError
from autocompress.networks import PRESETS
from autocompress.networks.base import Config
from autocompress.search.space.budget import Budget
from autocompress.search.space.cost import COUNTED, Costs
from autocompress.search.space.joint_space import JointSpace, StudentSpace
from autocompress.search.space.search_space import SearchSpace, Values
from autocompress.units import format_count

STARTS = 8  # first trials, before the sampler is asked
ROUNDS = 5  # of choosing them, where latencies are measured
SHAPES = (-0.6, -0.1)  # narrow and deep; and nearly as shallow as narrow


@dataclass(frozen=True)
class _Size:
    values: Values
    cost: float
    lean: float  # see `_lean`


def first_points(
    branches: JointSpace,
    budget: Budget,
    count: int,
    suggested: Mapping[str, Config] | None = None,
    costs: Costs = COUNTED,
) -> list[Values]:
    """Up to `count` points, as a study has them, evenly over the branches; none is the same training as another.

    For each branch first the student nearest in shape and FLOPs to the one `suggested` for it, within the budget; then
    the paper's, where it is within the budget, or what in the space is next to it; then `starts`.
    Latencies are guessed for that, and measured of what is chosen; where some are not within the budget, it is chosen
    again, better informed.
    """
    fast: list[Values] = []
    for _ in range(ROUNDS):
        points = _chosen(branches, budget, count, suggested or {}, costs)
        fast = [point for point in points if _in_time(branches, point, budget, costs)]
        if fast == points:
            break
    return fast


def _in_time(branches: JointSpace, point: Values, budget: Budget, costs: Costs) -> bool:
    if budget.latency is None:
        return True
    candidate = branches.candidate(point, Recipe())
    latency = costs.latency(branches[candidate.space].family, candidate.config)
    return latency is None or latency <= budget.latency


def _chosen(
    branches: JointSpace, budget: Budget, count: int, suggested: Mapping[str, Config], costs: Costs
) -> list[Values]:
    each = -(-count // len(list(branches)))
    columns = []
    for branch in branches:
        teacher, known = branch.teacher.config, list[Values]()
        if branch.name in suggested:
            known.append(_nearest(branch.space, teacher, budget, suggested[branch.name], costs))
        presets = [config for family, config in PRESETS.values() if family == branch.family.name]
        known += [point for point in map(branch.space.nearest, presets) if _allowed(branch, point, budget, costs)]
        known += starts(branch.space, teacher, budget, each, costs)
        columns.append([branches.in_study(branch, point) for point in known])
    found: dict[object, Values] = {}
    for point in itertools.chain.from_iterable(itertools.zip_longest(*columns)):
        if point is not None:
            found.setdefault(branches.key(branches.candidate(point, Recipe())), point)
    return list(found.values())[:count]


def _nearest(space: SearchSpace, teacher: Config, budget: Budget, config: Config, costs: Costs) -> Values:
    """The network within the budget whose cost and shape are the nearest to another's."""
    sizes = _inside(space, teacher, budget, costs)
    target = min(math.log(costs.guess(space.family, config)), math.log(sizes[-1].cost))
    lean = _lean(space, teacher, config)
    return min(sizes, key=lambda size: 2 * abs(math.log(size.cost) - target) + abs(size.lean - lean)).values


def _allowed(branch: StudentSpace, point: Values, budget: Budget, costs: Costs) -> bool:
    try:
        candidate = branch.space.candidate(point, branch.teacher.config, Recipe())
    except ConfigError:  # this teacher has no such student
        return False
    return budget.allows(candidate.flops, candidate.params, costs.guess(branch.family, candidate.config))


def starts(space: SearchSpace, teacher: Config, budget: Budget, count: int, costs: Costs = COUNTED) -> list[Values]:
    """Up to `count` points: for each of half as many costs, a narrow-and-deep network and a balanced one.

    Which shape is better is not known before; a score before training tells. Raises SpaceError, naming the smallest
    network, where nothing in the space fits the budget.
    """
    sizes = _inside(space, teacher, budget, costs)
    low, high = math.log(sizes[0].cost), math.log(sizes[-1].cost)
    levels = max(2, (count + 1) // 2)
    chosen: dict[int, Values] = {}
    for level in range(levels):
        target = low + (high - low) * level / (levels - 1)
        for lean in SHAPES:
            nearest = min(sizes, key=lambda s: 2 * abs(math.log(s.cost) - target) + abs(s.lean - lean))
            chosen.setdefault(sizes.index(nearest), nearest.values)
    return list(chosen.values())[:count]


def _inside(space: SearchSpace, teacher: Config, budget: Budget, costs: Costs) -> list[_Size]:
    """The networks of the space within the budget, by what they cost."""
    family, sizes = space.family, []
    smallest: tuple[int, int, Values] | None = None
    for values, config in space.sizes(teacher):
        flops, params = family.flops(config), family.params(config)
        if smallest is None or flops < smallest[0]:
            smallest = flops, params, values
        cost = costs.guess(family, config)
        if budget.allows(flops, params, cost):
            sizes.append(_Size(values, cost, _lean(space, teacher, config)))
    if not sizes:
        assert smallest is not None
        flops, params, values = smallest
        shape = ", ".join(f"{count.field} {values[count.field]}" for count in family.counts if count.field in values)
        raise SpaceError(
            f"no network of the space {space.name} is within {budget}: the smallest ({shape}) has "
            f"{format_count(flops)} FLOPs and {format_count(params)} parameters; raise the budget or widen the space"
        )
    return sorted(sizes, key=lambda size: size.cost)


def _lean(space: SearchSpace, teacher: Config, config: Config) -> float:
    """How much more of its first count than of its others a student keeps: a difference of shares of the teacher's.

    Optional counts are left aside: a space may leave them out, and a student may have more of them than its teacher.
    """
    ours, theirs = space.family.counts_of(config), space.family.counts_of(teacher)
    first, *others = (ours[c.field] / theirs[c.field] for c in space.family.counts if not c.optional)
    return first - sum(others) / len(others) if others else 0.0
