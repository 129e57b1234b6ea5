"""Sampling inside the budget, with a real study; and the first trials."""

import math
from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from autocompress.distill.recipe import Recipe
from autocompress.networks import FAMILIES
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig
from autocompress.search.run.study import DIRECTIONS
from autocompress.search.sampling.factory import OPTUNAS
from autocompress.search.sampling.feasible_sampler import FeasibleSampler
from autocompress.search.space.budget import Budget
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.space.joint_space import SPACE_PARAM, JointSpace, StudentSpace
from autocompress.search.space.parameter import Value, parse_parameter
from autocompress.search.space.search_space import SearchSpace, Values, load_space

FAMILY = FAMILIES["edsr"]
TEACHER = EDSRConfig(2)
BUDGET = Budget(20 * 10**9)
COUNTS = {
    "num_feat": parse_parameter("num_feat", {"type": "int", "low": 8, "high": 64, "step": 4}),
    "num_block": parse_parameter("num_block", {"type": "int", "low": 1, "high": 16}),
}
RATE = parse_parameter("learning_rate", {"type": "float", "low": 1e-4, "high": 1e-2, "log": True, "num": 5})
LOSS = parse_parameter("teacher_loss", {"type": "categorical", "choices": ["l1", "multilap"]})
SPACE = SearchSpace("test", FAMILY, (*COUNTS.values(), RATE, LOSS), {"learning_rate": 1e-3})

Point = tuple[Value, ...]


TEACHERS = {"edsr": EDSR(TEACHER), "swinir": SwinIR(SwinIRConfig(2))}


def joint(*spaces: SearchSpace) -> JointSpace:
    """Of a teacher for each family."""
    teachers = [TEACHERS[space.family.name] for space in spaces]
    return JointSpace(
        StudentSpace(space, "teacher", teacher, "teacher", teacher)
        for space, teacher in zip(spaces, teachers, strict=True)
    )


class Some(FeasibleSet):
    """Of all points those that a function says."""

    def __init__(self, joint_space: JointSpace, allowed: Callable[[Values], bool]) -> None:
        super().__init__(joint_space, Budget())
        self._allowed = allowed

    def allows(self, point: Values) -> bool:
        return self._allowed(point) and super().allows(point)


def flops(values: Values) -> int:
    return FAMILY.flops(FAMILY.student_config(TEACHER, {name: values[name] for name in COUNTS}))


def run(
    trials: int,
    seed: int = 0,
    inner: Callable[[int], BaseSampler] = OPTUNAS["tpe"],
    budget: Budget = BUDGET,
    space: SearchSpace = SPACE,
) -> list[Point]:
    """The points of a study whose score grows with the FLOPs."""
    feasible = FeasibleSet(joint(space), budget)
    sampler = FeasibleSampler(inner, feasible, seed)
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    found = []
    for _ in range(trials):
        if sampler.any_allowed() is None:
            break
        trial = study.ask()
        feasible.mark_tried(feasible.joint_space.suggest(trial))
        found.append(tuple(trial.params[parameter.name] for parameter in space.parameters))
        cost = flops(trial.params)
        if len(found) % 5 == 4:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, [30 + math.log10(cost), float(cost)])
    return found


@pytest.mark.parametrize("inner", [OPTUNAS[name] for name in ("tpe", "random", "nsga2")])
def test_points_are_on_the_grid_within_the_budget_and_never_twice(inner: Callable[[int], BaseSampler]) -> None:
    found = run(30, inner=inner)
    assert len(set(found)) == len(found) == 30
    for values in found:
        for parameter, value in zip(SPACE.parameters, values, strict=True):
            assert value in parameter.values
        assert flops(dict(zip(COUNTS, values, strict=False))) <= 20 * 10**9


def test_the_same_seed_gives_the_same_points() -> None:
    found = run(15, seed=1)
    assert run(15, seed=1) == found
    assert run(5, seed=2) != found[:5]


def test_a_narrow_budget_in_a_large_space_is_found() -> None:
    cheapest = FAMILY.flops(EDSRConfig(2, 8, 1))
    found = run(20, budget=Budget(cheapest))
    assert len(found) == 10  # 5 learning rates, 2 losses
    assert {values[:2] for values in found} == {(8, 1)}


def test_a_small_space_is_exhausted() -> None:
    small = SearchSpace("small", FAMILY, (COUNTS["num_feat"], parse_parameter("num_block", 1)), {})
    found = run(99, space=small, budget=Budget(None))
    assert sorted(found) == [(feat, 1) for feat in range(8, 65, 4)]


def test_nothing_allowed_is_none() -> None:
    sampler = FeasibleSampler(OPTUNAS["random"], Some(joint(SPACE), lambda _: False), 0)
    assert sampler.any_allowed() is None


def test_one_allowed_point_among_thousands_is_found() -> None:
    wanted = {"num_feat": 60, "num_block": 13, "learning_rate": RATE.values[3], "teacher_loss": "multilap"}
    sampler = FeasibleSampler(OPTUNAS["random"], Some(joint(SPACE), lambda values: dict(values) == wanted), 0)
    assert sampler.any_allowed() == wanted


def test_the_inner_sampler_hears_of_every_trial() -> None:
    heard: list[TrialState] = []

    class Listener(RandomSampler):
        def after_trial(
            self,
            study: optuna.Study,
            trial: optuna.trial.FrozenTrial,
            state: TrialState,
            values: object,
        ) -> None:
            heard.append(state)

    run(5, inner=lambda seed: Listener(seed=seed))
    assert heard == [TrialState.COMPLETE] * 3 + [TrialState.PRUNED, TrialState.COMPLETE]


# --- several spaces in one study ---


def joint_run(trials: int, allowed: Callable[[Values], bool]) -> list[Values]:
    """A study over SPACE and the shipped SwinIR space, in which SwinIR students are better."""
    feasible = Some(joint(SPACE, load_space("swinir")), allowed)
    study = optuna.create_study(directions=DIRECTIONS, sampler=FeasibleSampler(OPTUNAS["tpe"], feasible, 0))
    points: list[Values] = []
    for _ in range(trials):
        trial = study.ask()
        points.append(feasible.joint_space.suggest(trial))
        assert trial.params == points[-1]
        assert feasible.allows(points[-1])
        assert feasible.mark_tried(points[-1])
        study.tell(trial, [35.0 + (points[-1][SPACE_PARAM] == "swinir"), 1e9])
    return points


def test_every_point_of_several_spaces_is_whole_and_new() -> None:
    found = joint_run(30, lambda _: True)
    assert {point[SPACE_PARAM] for point in found} == {"test", "swinir"}
    for point in found:
        own = {name.partition(".")[0] for name in point if name != SPACE_PARAM}
        assert own == {point[SPACE_PARAM]}
    assert sum(point[SPACE_PARAM] == "swinir" for point in found[15:]) > 9  # the better one, by now


def test_when_one_space_is_used_up_the_other_goes_on() -> None:
    found = joint_run(20, lambda point: point[SPACE_PARAM] == "swinir" or point["test.num_feat"] == 8)
    assert len(found) == 20
    none = FeasibleSampler(OPTUNAS["random"], Some(joint(SPACE, load_space("swinir")), lambda _: False), 0)
    assert none.any_allowed() is None


def test_a_point_that_lacks_something_is_not_whole() -> None:
    both = joint(SPACE, load_space("swinir"))
    point = dict(both.in_study(both["test"], {p.name: p.values[0] for p in SPACE.parameters}))
    assert both.is_whole(point)
    assert both.candidate(point, Recipe()).config == EDSRConfig(2, 8, 1)
    del point["test.num_block"]
    assert not both.is_whole(point)
    assert not both.is_whole({})
    assert not both.is_whole({SPACE_PARAM: "other"})
