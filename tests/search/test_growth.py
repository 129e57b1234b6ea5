"""What a search reads of a trial that is over, it reads once: each more trial takes little more time."""

from collections import Counter
from typing import Any

import optuna
import pytest
from helpers.sampling_study import REFERENCE, Bench
from optuna.trial import TrialState, create_trial

from autocompress.search.run import history
from autocompress.search.run.history import TrialHistory, TriedConfig
from autocompress.search.run.record import AT_STEP
from autocompress.search.sampling.cost_aware import CostAwareSampler
from autocompress.search.sampling.pool import CandidatePool, PoolCandidate
from autocompress.search.space import cost
from autocompress.search.space.encoding import Encoding
from autocompress.search.space.joint_space import JointSpace, StudentSpace
from autocompress.search.space.search_space import Values
from autocompress.search.stopping import NoStopping


class NothingDrawn(CandidatePool):
    """Has the candidates of trials alone."""

    def anywhere(self, *_: Any) -> list[PoolCandidate]:
        return []

    def near(self, *_: Any) -> list[PoolCandidate]:
        return []


class CountingEncoding(Encoding):
    """Remembers what it encoded."""

    def __init__(self, joint_space: JointSpace) -> None:
        super().__init__(joint_space)
        self.encoded: list[Values] = []

    def encode(self, student_space: StudentSpace, values: Values, flops: int) -> list[float]:
        self.encoded.append(values)
        return super().encode(student_space, values, flops)


def test_a_sampler_reads_a_trial_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[int] = Counter()
    reads = TriedConfig.of

    def counted(trial: optuna.trial.FrozenTrial) -> TriedConfig:
        read[trial.number] += 1
        return reads(trial)

    monkeypatch.setattr(TriedConfig, "of", counted)
    bench = Bench()
    bench.start()
    bench.run(14)
    assert max(read.values()) == 1
    before = len(read)
    bench.run(3)
    assert max(read.values()) == 1
    assert len(read) - before <= 3


def test_a_sampler_encodes_a_trial_once() -> None:
    bench = Bench()
    encoding = CountingEncoding(bench.joint_space)
    pool = NothingDrawn(bench.feasible, encoding)
    bench.study.sampler = CostAwareSampler(bench.feasible, 0, REFERENCE, pool)
    bench.start()
    bench.run(14)
    assert 0 < len(encoding.encoded) <= 13
    before = len(encoding.encoded)
    bench.run(3)
    assert len(encoding.encoded) - before == 3


def test_what_was_read_before_changes_nothing() -> None:
    """Also where a trial that was running is over, and where one is tried again."""
    study = optuna.create_study(directions=["maximize", "minimize"])
    kept = TrialHistory()

    def seen() -> list[TriedConfig]:
        trials = study.get_trials(deepcopy=False)
        found = kept.configs(trials, trials[-1])
        assert found == TrialHistory().configs(trials, trials[-1])
        return found

    for number in range(6):
        asked = study.ask()
        asked.suggest_float("x", 0, 1)
        asked.set_user_attr(f"{AT_STEP}33", 20.0 + number)
        seen()
        if number == 2:
            study.enqueue_trial(asked.params, user_attrs={"retry_of": 2, "origin": 2})
            study.tell(asked, state=TrialState.FAIL)
        elif number == 4:
            study.tell(asked, state=TrialState.PRUNED)
        elif number != 1:  # which goes on
            study.tell(asked, [30.0, 1.0])
    study.ask()
    assert [config.pending for config in seen()].count(True) == 1
    study.tell(1, [31.0, 1.0])
    found = seen()
    assert not any(config.pending for config in found)
    assert len(found) == 5


def test_nothing_is_mixed_up_with_a_trial_of_the_same_number_in_another_study() -> None:
    kept = TrialHistory()
    for psnr in (30.0, 31.0):
        study = optuna.create_study(directions=["maximize", "minimize"])
        distributions = {"x": optuna.distributions.FloatDistribution(0, 1)}
        study.add_trial(create_trial(values=[psnr, 1.0], params={"x": 0.5}, distributions=distributions))
        study.ask()
        [config] = kept.configs(study.trials, study.trials[-1])
        assert config.psnr == psnr


def test_scores_at_rungs_are_read_until_a_trial_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    scores = history.points_at_rungs
    monkeypatch.setattr(history, "points_at_rungs", lambda trial: read.append(trial.number) or scores(trial))  # type: ignore[func-returns-value]
    study = optuna.create_study(directions=["maximize", "minimize"])
    attributes: dict[str, Any] = {"flops": 10.0, f"{AT_STEP}33": 20.0}
    study.add_trial(create_trial(values=[30.0, 10.0], user_attrs=attributes))
    study.ask().set_user_attr("flops", 11.0)
    rule = NoStopping()
    all_tried = TrialHistory(rule=rule)
    for _ in range(3):
        all_tried.update(study.get_trials(deepcopy=False))
    assert read == [0, 1, 1, 1]
    study.add_trial(create_trial(values=[31.0, 12.0], user_attrs=attributes | {"flops": 12.0, f"{AT_STEP}33": 25.0}))
    all_tried.update(study.get_trials(deepcopy=False))
    assert {point.trial for point in rule.points[33]} == {0, 2}


def test_flops_of_a_network_are_counted_once() -> None:
    bench = Bench()
    student_space = next(iter(bench.joint_space))
    cost._counted.cache_clear()
    for _ in range(3):
        assert cost.COUNTED.guess(student_space.family, student_space.teacher.config) == student_space.family.flops(
            student_space.teacher.config
        )
    assert (cost._counted.cache_info().misses, cost._counted.cache_info().hits) == (1, 2)
