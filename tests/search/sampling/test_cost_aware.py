"""The sampler that knows the cost: its formula against integration, what it proposes, and that nothing else decides."""

import math
import time
from collections.abc import Callable

import numpy as np
import optuna
import pytest
from helpers.sampling_study import ALONE, BOTH, BUDGET, REFERENCE, Bench, score
from hypothesis import given
from hypothesis import strategies as st
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from autocompress.distill.recipe import Recipe
from autocompress.networks.base import Config, Family
from autocompress.search.pareto import Point, front, hypervolume
from autocompress.search.run.history import TrialHistory, TriedConfig
from autocompress.search.run.study import DIRECTIONS
from autocompress.search.sampling.cost_aware import expected_hypervolume_improvement
from autocompress.search.sampling.feasible_sampler import FeasibleSampler
from autocompress.search.sampling.observations import MAX_SCORES, Observations
from autocompress.search.sampling.pool import CandidatePool
from autocompress.search.sampling.surrogate import Surrogate
from autocompress.search.settings import SamplerName
from autocompress.search.space.cost import Flops
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.space.joint_space import SPACE_PARAM, JointSpace
from autocompress.search.space.search_space import Values


@given(
    st.lists(st.tuples(st.floats(28, 40), st.integers(1, 400)), max_size=6),
    st.integers(1, 400),
    st.floats(28, 40),
    st.floats(0.0, 2.0),
)
def test_the_expected_improvement_is_that_of_the_hypervolume(
    cloud: list[tuple[float, int]], flops: int, mean: float, deviation: float
) -> None:
    points = [Point(number, psnr, cost * 10**9) for number, (psnr, cost) in enumerate(cloud)]
    found = expected_hypervolume_improvement(
        np.array([flops * 1e9]), np.array([mean]), np.array([deviation]), points, REFERENCE
    )
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    before = hypervolume(points, REFERENCE)
    gains = [
        hypervolume([*points, Point(99, mean + deviation * node, flops * 10**9)], REFERENCE) - before for node in nodes
    ]
    expected = float(weights @ gains) / math.sqrt(2 * math.pi)
    assert found[0] == pytest.approx(expected, abs=0.03 * deviation + 1e-9)  # kinks, which the integration rounds off


# --- what it proposes ---


@pytest.mark.parametrize("joint_space", [ALONE, BOTH], ids=["one space", "two spaces"])
def test_points_are_whole_allowed_and_never_twice(joint_space: JointSpace) -> None:
    bench = Bench(joint_space)
    bench.start()
    bench.run(30)  # `ask` asserts that each is allowed
    assert all(joint_space.is_whole(point) for point in bench.points)
    assert len({repr(point) for point in bench.points}) == 30
    if joint_space is BOTH:
        assert {point[SPACE_PARAM] for point in bench.points[8:]} == {"edsr", "swinir"}


def test_without_scores_points_are_random_ones() -> None:
    bench = Bench()
    for _ in range(5):
        bench.ask()
    assert len({repr(point) for point in bench.points}) == 5


def test_it_finds_what_chance_does_not() -> None:
    found = {}
    for name in ("cost-aware", "random"):
        benches = [Bench(seed=seed, name=name) for seed in range(3)]
        for bench in benches:
            bench.start()
            bench.run(30)
        found[name] = [bench.hypervolume() for bench in benches]
    assert min(found["cost-aware"]) > max(found["random"])


def test_those_asked_for_together_are_spread() -> None:
    bench = Bench()
    bench.start()
    bench.run(12)
    together = [bench.ask().params for _ in range(8)]
    costs = sorted(math.log10(bench.joint_space.candidate(point, Recipe()).flops) for point in together)
    assert len({(point["num_feat"], point["num_block"]) for point in together}) >= 6
    assert costs[-1] - costs[0] > 0.5


# --- and that nothing else decides ---


def copied(trials: list[FrozenTrial], order: list[int], sampler: FeasibleSampler) -> Study:
    """A study with the same trials in another order, by a process that has asked for none of them."""
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    for index in order:
        study.add_trial(trials[index])
    return study


def proposal(study: Study, joint_space: JointSpace, **attributes: int) -> Values:
    if attributes:
        study.enqueue_trial({}, user_attrs=attributes)
    return joint_space.suggest(study.ask())


@pytest.mark.parametrize("joint_space", [ALONE, BOTH], ids=["one space", "two spaces"])
def test_a_search_that_goes_on_proposes_what_it_would_have(joint_space: JointSpace) -> None:
    bench = Bench(joint_space)
    bench.start()
    bench.run(11)
    trials = bench.study.get_trials()
    orders = [list(range(11)), list(range(11))[::-1], [3, 7, 1, 0, 10, 9, 2, 8, 4, 6, 5]]
    found = [proposal(copied(trials, order, bench.sampler(0)), joint_space) for order in orders]
    assert found[0] == found[1] == found[2] == bench.ask().params
    assert proposal(copied(trials, orders[0], bench.sampler(1)), joint_space) != found[0]


def test_a_retry_counts_as_what_it_tries_again() -> None:
    bench = Bench()
    bench.start()
    bench.run(11)
    trials = bench.study.get_trials()
    expected = proposal(copied(trials, list(range(11)), bench.sampler(0)), ALONE)
    # the sixth failed and was tried again, at the end
    study = copied(trials, list(range(5)), bench.sampler(0))
    study.add_trial(create_trial(state=TrialState.FAIL, params=trials[5].params, distributions=trials[5].distributions))
    for trial in trials[6:]:
        study.add_trial(trial)
    trials[5].user_attrs.update({"retry_of": 5, "origin": 5})
    study.add_trial(trials[5])
    assert [config.psnr for config in TrialHistory().configs(study.trials, study.trials[-1])] != []
    assert proposal(study, ALONE) == expected
    # and one that failed before it had its parameters gets those that it would have had
    study = copied(bench.study.get_trials(), list(range(11)), bench.sampler(0))
    study.add_trial(create_trial(state=TrialState.FAIL))
    assert proposal(study, ALONE, retry_of=11, origin=11) == expected


@pytest.mark.parametrize("name", [name for name in SamplerName if name != "gp"])
def test_each_sampler_proposes_the_same_again(name: str) -> None:
    bench = Bench(name=name)
    bench.start()
    bench.run(12)
    study = copied(bench.study.get_trials(), list(range(12)), bench.sampler(0, name))
    bench.joint_space.suggest(study.ask())
    assert study.trials[-1].params == bench.ask().params


# --- scores in part, and many scores ---


def known(count: int, stopped: Callable[[int], bool] = lambda _: False) -> list[TriedConfig]:
    pool = CandidatePool(FeasibleSet(ALONE, BUDGET))
    points = [candidate.values for candidate in pool.anywhere(np.random.default_rng(0), count)]
    return [
        TriedConfig(
            point, None if stopped(n) else score(ALONE, point)[0], {0: 30.0, 33: score(ALONE, point)[0] - 1}, stopped(n)
        )
        for n, point in enumerate(points)
    ]


def test_of_stopped_students_the_rest_of_the_way_is_guessed() -> None:
    candidate_at = CandidatePool(FeasibleSet(ALONE, BUDGET)).at
    configs = known(12, stopped=lambda n: n >= 8)
    observations = Observations.of(configs, candidate_at)
    assert len(observations.trained) == 8
    assert len(observations.scores) == 12
    for config, (_, psnr, variance) in zip(configs[8:], observations.scores[8:], strict=True):
        assert psnr == pytest.approx(config.at_step[33] + 1)  # what all others gained from there
        assert variance == pytest.approx(0, abs=1e-9)
    assert len(Observations.of(configs, candidate_at, use_stopped=False).scores) == 8
    assert not Observations.of(known(5, stopped=lambda _: True), candidate_at).scores


def test_of_many_scores_the_front_and_some_others_count() -> None:
    configs = known(3 * MAX_SCORES)
    observations = Observations.of(configs, CandidatePool(FeasibleSet(ALONE, BUDGET)).at)
    assert len(observations.trained) == 3 * MAX_SCORES
    assert len(observations.scores) == MAX_SCORES
    assert max(psnr for _, psnr, _ in observations.scores) == max(psnr for _, psnr in observations.trained)
    assert min(psnr for _, psnr, _ in observations.scores) < np.median([psnr for _, psnr in observations.trained])


def test_of_many_scores_the_front_by_what_counts_is_kept() -> None:
    class Slow(Flops):
        """Deep networks are: what FLOPs would not say."""

        def guess(self, family: Family, config: Config) -> float:
            return 10.0 * config.to_dict()["num_block"] + config.to_dict()["num_feat"]

    observations = Observations.of(known(3 * MAX_SCORES), CandidatePool(FeasibleSet(ALONE, BUDGET, Slow())).at)
    best = front([Point(number, psnr, candidate.cost) for number, (candidate, psnr) in enumerate(observations.trained)])
    assert len(best) > 5
    for candidate, psnr in (observations.trained[point.trial] for point in best):
        assert (candidate.features, psnr, 0.0) in observations.scores


def test_the_surrogate_is_sure_of_what_it_was_fitted_to_alone() -> None:
    candidates = CandidatePool(FeasibleSet(ALONE, BUDGET)).anywhere(np.random.default_rng(0), 60)
    features = np.array([candidate.features for candidate in candidates])
    psnr = np.array([score(ALONE, candidate.values)[0] for candidate in candidates])
    surrogate = Surrogate.fit(features[:40], psnr[:40], np.zeros(40))
    mean, deviation = surrogate(features)
    assert abs(mean - psnr)[:40].max() < 0.1
    assert np.sqrt(np.mean((mean - psnr)[40:] ** 2)) < 0.5 * psnr.std()
    assert deviation[40:].mean() > 2 * deviation[:40].mean()
    expecting, less = surrogate.expecting(features[40:50])(features[40:])
    assert expecting == pytest.approx(mean[40:], abs=1e-2)
    assert (less[:10] < deviation[40:50]).all()


def test_an_ask_takes_a_fraction_of_a_second() -> None:
    bench = Bench()
    distributions = {name: p.distribution for name, p in ALONE.parameters(ALONE["edsr"]).items()}
    for config in known(100):
        bench.study.add_trial(
            create_trial(params=dict(config.point), distributions=distributions, values=score(ALONE, config.point))
        )
    start = time.process_time()
    bench.ask()
    assert time.process_time() - start < 1.5  # 0.1 s on a free core, but several threads may add up
