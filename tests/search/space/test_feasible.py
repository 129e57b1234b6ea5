"""Which candidates a search may try."""

from collections.abc import Iterator

import pytest
from helpers.sampling_study import ALONE, BOTH, joint

from autocompress.errors import SpaceError
from autocompress.networks.base import Config, Family
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.search.space.budget import Budget
from autocompress.search.space.cost import Costs, Flops
from autocompress.search.space.feasible import GUESS_MARGIN, FeasibleSet
from autocompress.search.space.joint_space import SPACE_PARAM, JointSpace, Network
from autocompress.search.space.search_space import Values

LIMIT = 100.0  # milliseconds


class Guessing(Flops):
    """A guess is a block's and a channel's milliseconds; what is measured is a little more."""

    def __init__(self, factor: float = 1.1) -> None:
        self.factor = factor
        self.measured: list[Config] = []

    def latency(self, family: Family, config: Config) -> float | None:
        self.measured.append(config)
        return self.factor * self.guess(family, config)

    def guess(self, family: Family, config: Config) -> float:
        return 10.0 * config.to_dict()["num_block"] + config.to_dict()["num_feat"]


def point_of(joint_space: JointSpace, **counts: int) -> Values:
    (student_space,) = joint_space
    return joint_space.in_study(student_space, {**student_space.space.rest, **counts})


def networks(feasible: FeasibleSet) -> Iterator[tuple[Network, bool]]:
    """With whether a point of it is allowed."""
    for student_space in feasible.joint_space:
        for network in student_space.networks.values():
            yield network, feasible.allows(feasible.joint_space.in_study(student_space, network.values))


@pytest.mark.parametrize("budget", [Budget(20 * 10**9), Budget(None, 50_000), Budget(20 * 10**9, 50_000), Budget()])
@pytest.mark.parametrize("joint_space", [ALONE, BOTH], ids=["one space", "two spaces"])
def test_what_is_within_is_what_is_allowed(budget: Budget, joint_space: JointSpace) -> None:
    feasible = FeasibleSet(joint_space, budget)
    allowed = [network for network, allows in networks(feasible) if allows]
    assert allowed == [network for student_space in joint_space for network in feasible.within(student_space)]
    assert allowed
    for network in allowed:
        assert budget.allows(network.flops, network.params)


def test_nothing_is_allowed_twice() -> None:
    feasible, joint_space = FeasibleSet(ALONE, Budget()), ALONE
    first, other = point_of(joint_space, num_feat=8, num_block=2), point_of(joint_space, num_feat=8, num_block=3)
    assert feasible.mark_tried(first)
    assert not feasible.allows(first)
    assert feasible.allows(other)
    # without a teacher's share its loss says nothing
    alone = {**other, "teacher_share": 0.0}
    for loss in joint_space["edsr"].space.parameters:
        if loss.name == "teacher_loss":
            feasible.mark_tried({**alone, "teacher_loss": loss.values[0]})
            assert not any(feasible.allows({**alone, "teacher_loss": value}) for value in loss.values)


def test_parameters_that_are_not_whole_mark_nothing() -> None:
    feasible = FeasibleSet(BOTH, Budget())
    assert not feasible.mark_tried({})
    assert not feasible.mark_tried({SPACE_PARAM: "edsr"})


def test_a_network_that_the_family_does_not_have_is_not_allowed() -> None:
    joint_space = joint("swinir")
    (student_space,) = joint_space
    feasible = FeasibleSet(joint_space, Budget())
    values = next(iter(student_space.networks.values())).values
    assert feasible.allows(joint_space.in_study(student_space, values))
    assert not feasible.allows(joint_space.in_study(student_space, {**values, "num_heads": 7}))


def test_a_latency_is_measured_unless_its_guess_says_enough() -> None:
    costs = Guessing()
    feasible = FeasibleSet(ALONE, Budget(latency=LIMIT), costs)
    assert feasible.allows(point_of(ALONE, num_feat=8, num_block=8))  # 88 ms, and 96.8 measured
    assert not feasible.allows(point_of(ALONE, num_feat=16, num_block=8))  # 96 ms, and 105.6 measured
    assert costs.measured == [EDSRConfig(2, 8, 8), EDSRConfig(2, 16, 8)]
    assert GUESS_MARGIN * LIMIT < 10 * 16 + 8
    assert not feasible.allows(point_of(ALONE, num_feat=8, num_block=16))
    assert len(costs.measured) == 2


def test_all_of_a_space_are_looked_through_without_measuring() -> None:
    costs = Guessing()
    feasible = FeasibleSet(ALONE, Budget(latency=LIMIT), costs)
    within = feasible.within(ALONE["edsr"])
    assert within == [
        n for n in ALONE["edsr"].networks.values() if costs.guess(ALONE["edsr"].family, n.config) <= LIMIT
    ]
    assert 0 < len(within) < len(ALONE["edsr"].networks)
    assert not costs.measured


def test_what_is_tried_is_not_measured_again() -> None:
    costs = Guessing()
    feasible = FeasibleSet(ALONE, Budget(latency=LIMIT), costs)
    point = point_of(ALONE, num_feat=8, num_block=2)
    feasible.mark_tried(point)
    assert not feasible.allows(point)
    assert not costs.measured


@pytest.mark.parametrize("costs", [Flops(), Guessing()], ids=["flops", "latency"])
def test_a_candidate_has_its_latency_where_that_counts(costs: Costs) -> None:
    candidate = FeasibleSet(ALONE, Budget(), costs).candidate(point_of(ALONE, num_feat=8, num_block=2))
    assert candidate.latency == (pytest.approx(30.8) if isinstance(costs, Guessing) else None)
    assert candidate.config == EDSRConfig(2, 8, 2)


def test_where_nothing_fits_the_smallest_is_named() -> None:
    feasible = FeasibleSet(ALONE, Budget(10**9))
    assert feasible.smallest(ALONE["edsr"]).config == EDSRConfig(2, 8, 1)
    with pytest.raises(
        SpaceError, match=r"space edsr is within 1G FLOPs: the smallest \(num_feat 8, num_block 1\) has 1\.178G FLOPs"
    ):
        feasible.check(ALONE["edsr"])
    FeasibleSet(ALONE, Budget(2 * 10**9)).check(ALONE["edsr"])
