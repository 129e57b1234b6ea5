"""What a trial is stored with: written and read again, under the names that runs of before have."""

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from autocompress.search.run.record import (
    TrialRecord,
    is_lost,
    parameters_of,
    retried,
    retries,
    update,
    update_stored,
)
from autocompress.search.space.cost import LATENCY_MS

FULL = TrialRecord(
    session="a1b2",
    begun=1795668022.5,
    start=0,
    ordinal=3,
    retry_of=2,
    origin=1,
    attempts=1,
    lost=True,
    config="edsr num_feat=8 num_block=1",
    flops=1177804800,
    params=4531,
    latency_ms=2.5,
    flops_share=0.0037,
    seed=7,
    at_step={0: 33.9, 20: 34.0},
    steps=60,
    metrics={"psnr_y": 34.1, "ssim_y": 0.93, "psnr_rgb": 32.4, "ssim_rgb": 0.91},
    seconds={"training": 1.03},
    reason="stopped",
)
# as version 0.1 stored them
STORED = {
    "session": "a1b2",
    "begun": 1795668022.5,
    "start": 0,
    "ordinal": 3,
    "retry_of": 2,
    "origin": 1,
    "attempts": 1,
    "lost": True,
    "config": "edsr num_feat=8 num_block=1",
    "flops": 1177804800,
    "params": 4531,
    "latency_ms": 2.5,
    "flops_share": 0.0037,
    "seed": 7,
    "steps": 60,
    "seconds": {"training": 1.03},
    "reason": "stopped",
    "psnr_y_at_step_0": 33.9,
    "psnr_y_at_step_20": 34.0,
    "psnr_y": 34.1,
    "ssim_y": 0.93,
    "psnr_rgb": 32.4,
    "ssim_rgb": 0.91,
}


def test_names_are_those_of_runs_of_before() -> None:
    assert FULL.to_attributes() == STORED
    assert TrialRecord.of(create_trial(state=TrialState.FAIL, user_attrs=STORED)) == FULL
    assert LATENCY_MS in STORED


def test_what_is_not_known_is_not_stored() -> None:
    assert TrialRecord().to_attributes() == {}
    assert TrialRecord.of(create_trial(state=TrialState.FAIL)) == TrialRecord()
    assert TrialRecord(start=0, steps=0).to_attributes() == {"start": 0, "steps": 0}


def test_what_other_programs_store_is_left_alone() -> None:
    trial = create_trial(state=TrialState.FAIL, user_attrs={"artifacts:1": "{}", "seed": 4})
    assert TrialRecord.of(trial) == TrialRecord(seed=4)


def test_a_record_is_added_to_what_is_stored() -> None:
    study = optuna.create_study()
    trial = study.ask()
    update(trial, TrialRecord(session="a", at_step={0: 30.0}))
    update(trial, TrialRecord(at_step={20: 31.0}))
    update_stored(study._storage, trial._trial_id, TrialRecord(reason="why"))
    assert TrialRecord.of(study.trials[0]) == TrialRecord(session="a", at_step={0: 30.0, 20: 31.0}, reason="why")


def test_what_is_known_before_training() -> None:
    record = TrialRecord.of_candidate("edsr num_feat=8 num_block=1", teacher_flops=3000, flops=1000, params=5, seed=2)
    assert record == TrialRecord(config="edsr num_feat=8 num_block=1", flops=1000, params=5, flops_share=0.3333, seed=2)


@pytest.mark.parametrize(("latency", "cost"), [(None, 1000.0), (2.5, 2.5)])
def test_latency_is_the_cost_where_it_counts(latency: float | None, cost: float) -> None:
    assert TrialRecord(flops=1000, latency_ms=latency).cost == cost


def test_retries_and_lost_trials() -> None:
    study = optuna.create_study()
    for record in (TrialRecord(), TrialRecord(retry_of=0, origin=0), TrialRecord(lost=True)):
        study.add_trial(create_trial(state=TrialState.FAIL, user_attrs=record.to_attributes()))
    assert retried(study.trials) == {0}
    assert [trial.number for trial in retries(study.trials)] == [1]
    assert [is_lost(trial) for trial in study.trials] == [False, False, True]


def test_parameters_of_a_queued_trial() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"x": 0.5, "y": 2})
    assert parameters_of(study.trials[0]) == {"x": 0.5, "y": 2}
    study.ask().suggest_float("x", 0, 1)
    assert parameters_of(study.trials[0]) == {"x": 0.5, "y": 2}
