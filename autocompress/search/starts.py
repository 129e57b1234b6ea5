"""The first trials: networks of different shapes at FLOPs spread evenly, on a log scale, up to the budget."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from autocompress.distill.recipe import Recipe
from autocompress.errors import ConfigError, SpaceError
from autocompress.families.base import Config
from autocompress.families.presets import PRESETS
from autocompress.quantities import format_count
from autocompress.search.branches import Branch, Branches
from autocompress.search.space import Budget, Space, Values

SHAPES = (-0.6, -0.1)  # narrow and deep; and nearly as shallow as narrow


@dataclass(frozen=True)
class _Size:
    values: Values
    flops: int
    lean: float  # see `_lean`


def first_points(
    branches: Branches, budget: Budget, count: int, suggested: Mapping[str, Config] | None = None
) -> list[Values]:
    """Up to `count` points, as a study has them, evenly over the branches.

    For each first the student that is `suggested` for it, and the paper's, or what in the space is nearest to them;
    then `starts`.
    """
    each = max(1, count // len(list(branches)))
    found = []
    for branch in branches:
        known = [config for family, config in PRESETS.values() if family == branch.family.name]
        if suggested is not None and branch.name in suggested:
            known.insert(0, suggested[branch.name])
        points = _distinct(branch.space.nearest(config) for config in known)
        points = [point for point in points if _allowed(branch, point, budget)]
        points += [point for point in starts(branch.space, branch.teacher.config, budget, each) if point not in points]
        found += [branches.in_study(branch, point) for point in points[:each]]
    return found


def _distinct(points: Iterable[Values]) -> list[Values]:
    found: list[Values] = []
    for point in points:
        if point not in found:
            found.append(point)
    return found


def _allowed(branch: Branch, point: Values, budget: Budget) -> bool:
    try:
        candidate = branch.space.candidate(point, branch.teacher.config, Recipe())
    except ConfigError:  # this teacher has no such student
        return False
    return budget.allows(candidate.flops, candidate.params)


def starts(space: Space, teacher: Config, budget: Budget, count: int) -> list[Values]:
    """Up to `count` points: for each of half as many FLOPs, a narrow-and-deep network and a balanced one.

    Which shape is better is not known before; a score before training tells. Raises SpaceError, naming the smallest
    network, where nothing in the space fits the budget.
    """
    sizes = _inside(space, teacher, budget)
    low, high = math.log(sizes[0].flops), math.log(sizes[-1].flops)
    levels = max(2, (count + 1) // 2)
    chosen: dict[int, Values] = {}
    for level in range(levels):
        target = low + (high - low) * level / (levels - 1)
        for lean in SHAPES:
            nearest = min(sizes, key=lambda s: 2 * abs(math.log(s.flops) - target) + abs(s.lean - lean))
            chosen.setdefault(sizes.index(nearest), nearest.values)
    return list(chosen.values())[:count]


def _inside(space: Space, teacher: Config, budget: Budget) -> list[_Size]:
    """The networks of the space within the budget, by FLOPs."""
    family, sizes = space.family, []
    smallest: tuple[int, int, Values] | None = None
    for values, config in space.sizes(teacher):
        flops, params = family.flops(config), family.params(config)
        if smallest is None or flops < smallest[0]:
            smallest = flops, params, values
        if budget.allows(flops, params):
            sizes.append(_Size(values, flops, _lean(space, teacher, config)))
    if not sizes:
        assert smallest is not None
        flops, params, values = smallest
        shape = ", ".join(f"{count.field} {values[count.field]}" for count in family.counts if count.field in values)
        raise SpaceError(
            f"no network of the space {space.name} is within {budget}: the smallest ({shape}) has "
            f"{format_count(flops)} FLOPs and {format_count(params)} parameters; raise the budget or widen the space"
        )
    return sorted(sizes, key=lambda size: size.flops)


def _lean(space: Space, teacher: Config, config: Config) -> float:
    """How much more of its first count than of its others a student keeps: a difference of shares of the teacher's.

    Optional counts are left aside: a space may leave them out, and a student may have more of them than its teacher.
    """
    ours, theirs = space.family.counts_of(config), space.family.counts_of(teacher)
    first, *others = (ours[c.field] / theirs[c.field] for c in space.family.counts if not c.optional)
    return first - sum(others) / len(others) if others else 0.0
