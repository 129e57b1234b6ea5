"""The first trials."""

import itertools
import math

import pytest
from helpers.sampling_study import joint

from autocompress.distill.recipe import Recipe
from autocompress.errors import SpaceError
from autocompress.networks import FAMILIES
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.search.sampling.initial import first_points, spread
from autocompress.search.space.budget import Budget
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.space.joint_space import SPACE_PARAM, JointSpace, StudentSpace
from autocompress.search.space.parameter import parse_parameter
from autocompress.search.space.search_space import SearchSpace, Values, load_space

FAMILY = FAMILIES["edsr"]
TEACHER = EDSRConfig(2)
BUDGET = Budget(20 * 10**9)
COUNTS = {
    "num_feat": parse_parameter("num_feat", {"type": "int", "low": 8, "high": 64, "step": 4}),
    "num_block": parse_parameter("num_block", {"type": "int", "low": 1, "high": 16}),
}
SPACE = SearchSpace(
    "test",
    FAMILY,
    (*COUNTS.values(), parse_parameter("learning_rate", {"type": "categorical", "choices": [1e-4, 1e-3, 1e-2]})),
    {"learning_rate": 1e-3},
)


def flops(values: Values) -> int:
    return FAMILY.flops(FAMILY.student_config(TEACHER, {name: values[name] for name in COUNTS}))


def spread_of(space: SearchSpace, budget: Budget, count: int = 8) -> list[Values]:
    teacher = EDSR(TEACHER)
    student_space = StudentSpace(space, "teacher", teacher, "teacher", teacher)
    return spread(FeasibleSet(JointSpace([student_space]), budget), student_space, count)


def test_the_first_points_have_the_papers_students_and_all_spaces() -> None:
    both = joint("edsr", "swinir")
    points = first_points(FeasibleSet(both, Budget(30 * 10**9)), 8)
    assert len(points) == 8
    configs = [both.candidate(point, Recipe()).config for point in points]
    assert EDSRConfig(2, 16, 8) in configs
    assert SwinIRConfig(2, 24, (4, 4, 4), (6, 6, 6)) in configs
    assert len({id(both[str(point[SPACE_PARAM])]) for point in points}) == 2
    costs = [both.candidate(point, Recipe()).flops for point in points]
    assert costs == sorted(costs)
    cheap = first_points(FeasibleSet(both, Budget(8 * 10**9)), 8)  # below both of the paper's
    assert EDSRConfig(2, 16, 8) not in [both.candidate(point, Recipe()).config for point in cheap]


@pytest.mark.parametrize("budget", [Budget(2 * 10**9), BUDGET, Budget(10**12), Budget(None, 50_000)])
@pytest.mark.parametrize("count", [1, 2, 5, 8, 12])
def test_the_first_trials_are_different_and_within_the_budget(budget: Budget, count: int) -> None:
    found = spread_of(SPACE, budget, count)
    assert 1 <= len(found) <= count
    points = [tuple(values.items()) for values in found]
    assert len(set(points)) == len(points)
    for values in found:
        config = FAMILY.student_config(TEACHER, {name: values[name] for name in COUNTS})
        assert budget.allows(FAMILY.flops(config), FAMILY.params(config))
        assert values["learning_rate"] == 1e-3
        assert all(value in p.values for p, value in zip(SPACE.parameters, values.values(), strict=True))


def test_the_first_trials_are_spread_up_to_the_budget_in_two_shapes() -> None:
    space = load_space("edsr")
    found = spread_of(space, BUDGET)
    assert len(found) >= 6  # at the ends both shapes may be the same network
    places = sorted(math.log(flops(values)) for values in found)
    low, high = math.log(FAMILY.flops(EDSRConfig(2, 8, 1))), math.log(20 * 10**9)
    assert places[0] <= low + 0.05 * (high - low)
    assert places[-1] >= high - 0.05 * (high - low)
    assert max(b - a for a, b in itertools.pairwise(places)) < 0.45 * (high - low)
    shapes = [values["num_feat"] / 64 - values["num_block"] / 16 for values in found]  # type: ignore[operator]
    assert min(shapes) < -0.4
    assert max(shapes) > -0.1


def test_first_trials_where_the_number_of_layers_varies() -> None:
    space = load_space("edsr-layers")
    found = spread_of(space, BUDGET)
    assert len(found) >= 6
    assert len({values["num_layer"] for values in found}) >= 2
    configs = [space.candidate(values, TEACHER, Recipe()) for values in found]
    assert all(BUDGET.allows(candidate.flops, candidate.params) for candidate in configs)
    with pytest.raises(SpaceError, match=r"the smallest \(num_feat 8, num_block 1, num_layer 1\) has"):
        spread_of(space, Budget(10**9))


def test_a_budget_below_the_smallest_names_it() -> None:
    smallest = FAMILY.flops(EDSRConfig(2, 8, 1))
    assert spread_of(SPACE, Budget(smallest))
    with pytest.raises(
        SpaceError, match=r"the smallest \(num_feat 8, num_block 1\) has 1\.178G FLOPs and 4\.531K param"
    ):
        spread_of(SPACE, Budget(smallest - 1))
