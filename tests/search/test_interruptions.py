"""How a search goes on after any end in the middle."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from helpers.network_files import fvcore_flops
from helpers.small_search import BUDGET, Recorder, run_search, trials_of
from optuna.trial import TrialState

from autocompress.distill.training import Training
from autocompress.errors import RunError, StorageError, TrainingDiverged
from autocompress.report import ReportData
from autocompress.search import Outcome, RunFolder, SearchCallback, Settings
from autocompress.search.results.front import pareto, students
from autocompress.search.stopping import NoStopping


class Interrupting(Recorder):
    """Presses Ctrl-C when the training with this ordinal has done a step."""

    def __init__(self, training: int = 1) -> None:
        super().__init__()
        self.training = training
        self.begun = set[int]()

    def on_step(self, trial: int, step: int) -> None:
        self.begun.add(trial)
        if len(self.begun) == self.training:
            raise KeyboardInterrupt


class Removing(Recorder):
    """Removes the run's folder in the middle of the first training."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def on_step(self, trial: int, step: int) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def test_a_folder_that_is_removed_is_one_line(settings: Callable[..., Settings]) -> None:
    wanted = settings(trials=2)
    with pytest.raises(
        StorageError, match=r"config\.json was removed while the run was worked on; remove what is left"
    ):
        run_search(wanted, Removing(wanted.folder))
    shutil.rmtree(wanted.folder, ignore_errors=True)
    assert run_search(wanted)[1].reason == "all 2 trials are done"


def test_ctrl_c_ends_cleanly_and_the_search_goes_on(settings: Callable[..., Settings]) -> None:
    run, outcome = run_search(settings(), Interrupting(training=2), stopping=NoStopping())
    assert outcome == Outcome("interrupted", interrupted=True)
    states = [trial.state for trial in trials_of(run)]
    assert TrialState.RUNNING not in states
    waiting = [
        trial.params or trial.system_attrs["fixed_params"] for trial in trials_of(run) if trial.state.name == "WAITING"
    ]
    broken = [trial.params for trial in trials_of(run) if trial.state == TrialState.FAIL]
    assert broken
    assert all(params in waiting for params in broken)
    assert len(run.students()) == 1
    assert len(pareto(run)) == 1

    run, outcome = run_search(settings())
    assert outcome.reason == "all 4 trials are done"
    trained = {
        json.dumps(trial.params, sort_keys=True)
        for trial in trials_of(run)
        if trial.state.name in ("COMPLETE", "PRUNED")
    }
    assert {json.dumps(params, sort_keys=True) for params in broken} <= trained
    assert len(trained) == 4


def test_an_interrupted_trial_is_trained_as_it_would_have_been(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    whole, _ = run_search(settings(out=tmp_path / "whole", trials=3))
    run_search(settings(out=tmp_path / "parts", trials=3), Interrupting(training=2))
    parts, _ = run_search(settings(out=tmp_path / "parts", trials=3))

    def scores(run: RunFolder) -> set[tuple[Any, ...]]:
        return {(tuple(s.config.items()), s.provenance.recipe["seed"], s.metrics["psnr_y"]) for s in run.students()}

    assert scores(whole) == scores(parts)


def test_a_trial_that_a_killed_search_left_running_is_tried_again(settings: Callable[..., Settings]) -> None:
    run, _ = run_search(settings(trials=2))
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{run.database}")
    asked = study.ask()  # the third start, as a killed search would have
    kept = {
        "num_feat": asked.suggest_int("num_feat", 2, 8, step=2),
        "num_block": asked.suggest_int("num_block", 1, 2),
        "teacher_share": asked.suggest_float("teacher_share", 0, 1, step=0.5),
        "learning_rate": asked.suggest_float("learning_rate", 1e-4, 1e-3, log=True),
    }
    study._storage.remove_session()
    study._storage._backend.engine.dispose()
    run, outcome = run_search(settings(trials=3))
    assert outcome.reason == "all 3 trials are done"
    trials = trials_of(run)
    assert trials[asked.number].state == TrialState.FAIL
    [again] = [trial for trial in trials if trial.user_attrs.get("retry_of") == asked.number]
    assert again.params == kept
    assert again.state in (TrialState.COMPLETE, TrialState.PRUNED)


@pytest.mark.slow
def test_a_trial_killed_before_it_had_all_parameters_is_no_trouble(settings: Callable[..., Settings]) -> None:
    wanted = settings(trials=4, steps=1)
    run, _ = run_search(settings(trials=3, steps=1))
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{run.database}")
    study.ask().suggest_int("num_feat", 8, 8)  # with two blocks this would be over the budget
    study.ask()
    study._storage.remove_session()
    study._storage._backend.engine.dispose()
    run, outcome = run_search(wanted)
    assert outcome.reason == "all 4 trials are done"
    assert all(fvcore_flops(file) <= BUDGET for file in run.path.glob("trials/*/student.safetensors"))
    assert all(trial.user_attrs.get("flops", 0) <= BUDGET for trial in trials_of(run))


def test_a_trial_killed_after_its_student_was_written_is_complete(settings: Callable[..., Settings]) -> None:
    run, _ = run_search(settings(trials=1))
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{run.database}")
    asked = study.ask()
    asked.suggest_int("num_feat", 2, 8, step=2)
    study._storage.remove_session()
    study._storage._backend.engine.dispose()
    run.trial(asked.number).mkdir()
    written = {"family": "edsr", "metrics": {"psnr_y": 30.0, "ssim_y": 0.9}, "flops": 123, "params": 5, "config": {}}
    (run.trial(asked.number) / "student.json").write_text(json.dumps(written))
    (run.trial(asked.number) / "student.safetensors").touch()
    run_search(settings(trials=2))
    assert trials_of(run)[asked.number].values == [30.0, 123.0]


def test_the_time_limit_ends_a_search(settings: Callable[..., Settings]) -> None:
    run, outcome = run_search(settings(timeout=1e-3, trials=2))
    assert outcome == Outcome("the time is used up")
    assert not run.students()
    run, outcome = run_search(settings(timeout=600.0, trials=2))
    assert outcome.reason == "all 2 trials are done"


def test_the_time_limit_ends_a_training(settings: Callable[..., Settings]) -> None:
    class Slow(SearchCallback):
        """Each step takes an hour."""

        hours = 0

        def on_step(self, trial: int, step: int) -> None:
            self.hours += 1

    slow = Slow()
    run, outcome = run_search(settings(timeout=600.0), slow, clock=lambda: 3600.0 * slow.hours)
    assert outcome.reason == "the time is used up"
    assert slow.hours == 1
    assert TrialState.RUNNING not in {trial.state for trial in trials_of(run)}
    assert not run.students()


def test_a_search_that_breaks_off_leaves_nothing_running(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_update", broken)
        with pytest.raises(ZeroDivisionError):
            run_search(settings(trials=2))
    assert run_search(settings(trials=2))[1].reason == "all 2 trials are done"


def test_a_diverging_trial_fails_alone(settings: Callable[..., Settings], tmp_path: Path) -> None:
    space = tmp_path / "wild.yaml"
    space.write_text(
        "family: edsr\nparameters: {num_feat: 2, num_block: 1, "
        "learning_rate: {type: categorical, choices: [1.0e-3, 1.0e+38]}}\n"
    )
    progress = Recorder()
    run, outcome = run_search(settings(spaces=(str(space),), trials=2), progress)
    assert outcome.reason == "all 2 trials are done"
    by_rate = {trial.params["learning_rate"]: trial for trial in trials_of(run)}
    assert by_rate[1e-3].state == TrialState.COMPLETE
    assert by_rate[1e38].state == TrialState.FAIL
    assert "the loss is" in by_rate[1e38].user_attrs["reason"]
    assert any("failed: the loss is" in event for event in progress.events)
    assert len(run.students()) == 1

    again, outcome = run_search(settings(spaces=(str(space),), trials=5), Recorder())
    assert outcome.reason == "every config that fits the budget has been tried"
    assert len(trials_of(again)) == 2


def test_a_search_in_which_every_trial_fails_ends(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: Any) -> None:
        raise TrainingDiverged("the loss is nan")

    monkeypatch.setattr(Training, "_update", diverge)
    run, outcome = run_search(settings(trials=2))
    assert outcome.reason == "all 2 trials are done"
    assert students(run).empty
    with pytest.raises(RunError, match="no trial has finished yet"):
        pareto(run)
    with pytest.raises(RunError, match="no trial has finished yet"):
        ReportData.of(run)
