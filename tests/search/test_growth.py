"""What a search reads of a trial that is over, it reads once: each more trial takes little more time."""

from collections import Counter
from typing import Any

import optuna
import pytest
from helpers.sampling_study import Bench
from optuna.trial import TrialState, create_trial

from autocompress.search.run import history, known
from autocompress.search.run.history import Over
from autocompress.search.run.known import Known
from autocompress.search.run.record import AT_STEP
from autocompress.search.space import cost
from autocompress.search.stopping import Rungs


def test_a_sampler_reads_a_trial_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[int] = Counter()
    encoded: list[Any] = []
    reads = history._known

    def counted(trial: optuna.trial.FrozenTrial) -> history.KnownConfig:
        read[trial.number] += 1
        return reads(trial)

    monkeypatch.setattr(history, "_known", counted)
    bench = Bench()
    encode = bench.study.sampler._options._encoding.encode  # type: ignore[attr-defined]

    def noted(branch: Any, values: Any, flops: int) -> list[float]:
        encoded.append(values)
        return list(encode(branch, values, flops))

    bench.start()
    bench.run(14)
    assert max(read.values()) == 1
    before = len(read)
    monkeypatch.setattr(bench.study.sampler._options._encoding, "encode", noted)  # type: ignore[attr-defined]
    monkeypatch.setattr(bench.study.sampler._options, "anywhere", lambda *_: [])  # type: ignore[attr-defined]
    monkeypatch.setattr(bench.study.sampler._options, "near", lambda *_: [])  # type: ignore[attr-defined]
    bench.run(3)
    assert len(read) - before <= 3
    assert len(encoded) <= 3


def test_what_was_read_before_changes_nothing() -> None:
    """Also where a trial that was running is over, and where one is tried again."""
    study = optuna.create_study(directions=["maximize", "minimize"])
    kept: Over = {}

    def seen() -> list[history.KnownConfig]:
        trials = study.get_trials(deepcopy=False)
        found = history.history(trials, trials[-1], kept)
        assert found == history.history(trials, trials[-1], {})
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


def test_scores_at_rungs_are_read_until_a_trial_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    scores = known.scores
    monkeypatch.setattr(known, "scores", lambda trial: read.append(trial.number) or scores(trial))  # type: ignore[func-returns-value]
    study = optuna.create_study(directions=["maximize", "minimize"])
    attributes: dict[str, Any] = {"flops": 10.0, f"{AT_STEP}33": 20.0}
    study.add_trial(create_trial(values=[30.0, 10.0], user_attrs=attributes))
    study.ask().set_user_attr("flops", 11.0)
    all_known = Known(lambda _: None, Rungs())
    for _ in range(3):
        all_known.look(study.get_trials(deepcopy=False))
    assert read == [0, 1, 1, 1]
    study.add_trial(create_trial(values=[31.0, 12.0], user_attrs=attributes | {"flops": 12.0, f"{AT_STEP}33": 25.0}))
    all_known.look(study.get_trials(deepcopy=False))
    assert {point.trial for point in all_known.rungs._points[33]} == {0, 2}


def test_flops_of_a_network_are_counted_once() -> None:
    bench = Bench()
    branch = next(iter(bench.branches))
    cost._counted.cache_clear()
    for _ in range(3):
        assert cost.COUNTED.guess(branch.family, branch.teacher.config) == branch.family.flops(branch.teacher.config)
    assert (cost._counted.cache_info().misses, cost._counted.cache_info().hits) == (1, 2)
