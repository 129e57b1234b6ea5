"""A whole search, small: what it writes, what it never does, and how it goes on after any end."""

import csv
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from conftest import fvcore_total, write_waves
from optuna.trial import TrialState
from PIL import Image
from small import BUDGET, SPACE, Silent, trials_of

import autocompress
from autocompress import arithmetic
from autocompress.arithmetic import Arithmetic
from autocompress.distill.training import Training
from autocompress.errors import DataError, InvalidInput, RunError, TrainingDiverged
from autocompress.families.edsr import EDSRFamily
from autocompress.families.edsr.network import EDSRConfig
from autocompress.report import Story
from autocompress.search import Outcome, RunFolder, Settings, search
from autocompress.search.inputs import open_task
from autocompress.search.results import pareto, students
from autocompress.search.rungs import HalvingRungs
from autocompress.search.space import Budget
from autocompress.search.storage import STUDY_NAME
from autocompress.search.trial import rung_steps

LOCKS = {".lock", ".asking.lock", "sessions", "study.db-wal", "study.db-shm"}


class Interrupting(Silent):
    """Presses Ctrl-C when the training with this ordinal comes to its second step."""

    def __init__(self, training: int = 1) -> None:
        super().__init__()
        self.left = training

    def step(self, trial: int, step: int) -> None:
        if step == 2:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _plain_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on every machine, without the probe."""
    monkeypatch.setattr(arithmetic, "choose", Arithmetic)


@pytest.fixture
def settings(tmp_path: Path, teacher_file: Path, photos: Path) -> Callable[..., Settings]:
    """Those of a search of seconds, into a folder of its own; any field can be given."""
    space = tmp_path / "small.yaml"
    space.write_text(SPACE)

    def make(**fields: Any) -> Settings:
        usual: dict[str, Any] = {
            "budget": Budget(BUDGET),
            "spaces": (str(space),),
            "teachers": (str(teacher_file),),
            "train": photos,
            "init": "scratch",
            "trials": 4,
            "steps": 4,
            "out": tmp_path / "run",
        }
        return Settings(**usual | fields)

    return make


def fvcore_flops(file: Path) -> int:
    """Counted here, on the network as anyone would load it."""
    network = autocompress.load(file)
    return round(fvcore_total(network, torch.zeros(1, 3, 20, 30)) / 600 * 1280 * 720 / network.scale**2)


# --- what a search leaves behind ---


def test_a_search_ends_with_all_its_trials_accounted_for(finished: tuple[RunFolder, Outcome, Silent]) -> None:
    run, outcome, progress = finished
    assert outcome == Outcome("all 10 trials are done")
    trials = trials_of(run)
    assert len(trials) == len(progress.events) == 10
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in trials:
        complete = trial.state == TrialState.COMPLETE
        assert (run.trial(trial.number) / "student.safetensors").is_file() == complete
        assert trial.user_attrs["psnr_y_at_step_0"] > 0
        assert complete or "of which 1 in 2 goes on" in trial.user_attrs["reason"]
        if complete:
            assert trial.values == run.objectives(trial.number)


def test_a_training_is_scored_at_rungs_that_are_not_too_early() -> None:
    assert rung_steps(300) == [33, 100, 300]
    assert rung_steps(90) == [30, 90]
    assert rung_steps(4) == [4]


def test_no_config_is_tried_twice(finished: tuple[RunFolder, Outcome, Silent]) -> None:
    tried = [tuple(sorted(trial.params.items())) for trial in trials_of(finished[0])]
    assert len(set(tried)) == len(tried)


def test_the_study_names_its_metrics(finished: tuple[RunFolder, Outcome, Silent]) -> None:
    database = finished[0].database
    study = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{database}")
    assert study.metric_names == ["PSNR-Y (dB)", "FLOPs (1280x720)"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    study._storage.remove_session()
    study._storage._backend.engine.dispose()


def test_the_times_add_up(finished: tuple[RunFolder, Outcome, Silent]) -> None:
    (session,) = finished[0].times
    assert sum(session["parts"].values()) == pytest.approx(session["total"], abs=0.05)
    assert {"training", "scoring", "shrinking", "sampling", "storing", "writing"} <= session["parts"].keys()
    assert all(seconds >= 0 for seconds in session["parts"].values())
    assert 0 < session["before_training"] < session["total"]


def test_the_run_folder_holds_everything(finished: tuple[RunFolder, Outcome, Silent]) -> None:
    run, _, progress = finished
    there = {entry.name for entry in run.path.iterdir()} - LOCKS
    written = {"config.json", "study.db", "times.json", "trials", "crops", "artifacts"}
    written |= {"pareto.csv", "pareto.json", "report.html"}
    assert there == written
    assert not [path for path in run.path.rglob("*") if path.name.endswith(".tmp")]
    config = json.loads((run.path / "config.json").read_text())
    assert {"search", "references", "arithmetic", "versions", "branches", "teacher", "train", "valid"} <= config.keys()
    assert {"spaces", "train", "valid", "budget", "recipe", "seed"} <= config["search"].keys()
    assert config["references"]["teacher"]["flops"] == EDSRFamily().flops(EDSRConfig(2, 8, 2))
    assert config["train"]["images"] + config["valid"]["images"] == 3
    assert any("2 of photos" in fact and "1 of photos" in fact for fact in progress.facts)


def test_student_json_describes_the_student(finished: tuple[RunFolder, Outcome, Silent]) -> None:
    for file in finished[0].path.glob("trials/*/student.json"):
        student = json.loads(file.read_text())
        assert {"family", "config", "scale", "flops", "params", "metrics", "provenance"} <= student.keys()
        assert {"psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"} == student["metrics"].keys()
        assert {"teacher_digest", "recipe", "psnr_y_before_training", "versions"} <= student["provenance"].keys()
        network = autocompress.load(file.with_suffix(".safetensors"))
        assert student["params"] == sum(p.numel() for p in network.parameters())
        assert network.config.to_dict() == student["config"]
        assert network(torch.rand(1, 3, 9, 7)).shape == (1, 3, 18, 14)


def test_every_trial_trains_with_a_seed_of_its_own(finished: tuple[RunFolder, Outcome, Silent]) -> None:
    for student in finished[0].students():
        assert student["provenance"]["recipe"]["seed"] == student["trial"]


def test_no_student_is_over_budget_by_fvcore(finished: tuple[RunFolder, Outcome, Silent]) -> None:
    files = list(finished[0].path.glob("trials/*/student.safetensors"))
    assert files
    for file in files:
        flops = fvcore_flops(file)
        assert flops <= BUDGET
        assert flops == json.loads(file.with_suffix(".json").read_text())["flops"]


def test_pareto_csv_is_the_front(finished: tuple[RunFolder, Outcome, Silent]) -> None:
    run = finished[0]
    with (run.path / "pareto.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"trial", "family", "psnr_y", "ssim_y", "flops", "params"} <= rows[0].keys()
    points = [(float(row["psnr_y"]), int(row["flops"])) for row in rows]
    assert points == sorted(points)
    everyone = [(s["metrics"]["psnr_y"], s["flops"]) for s in run.students()]
    for psnr, flops in everyone:
        dominated = any(p >= psnr and f <= flops and (p, f) != (psnr, flops) for p, f in everyone)
        assert ((psnr, flops) in points) == (not dominated)
    content = json.loads((run.path / "pareto.json").read_text())
    assert [student["trial"] for student in content["students"]] == [int(row["trial"]) for row in rows]
    assert content["pick"] == int(rows[-1]["trial"])


def test_the_table_compares_with_bicubic_and_the_teacher(finished: tuple[RunFolder, Outcome, Silent]) -> None:
    run = finished[0]
    references = run.config["references"]
    for row in pareto(run).to_dict(orient="records"):
        assert row["gain_over_bicubic"] == pytest.approx(row["psnr_y"] - references["bicubic"]["psnr_y"])
        assert row["loss_to_teacher"] == pytest.approx(references["teacher"]["psnr_y"] - row["psnr_y"])
        assert row["flops_share"] == pytest.approx(row["flops"] / references["teacher"]["flops"])


# --- the same and not the same ---


def test_the_same_seed_gives_the_same_trials(settings: Callable[..., Settings], tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        run, _ = search(settings(out=tmp_path / name, trials=11, steps=1, seed=3), Silent())
        found.append([(trial.number, trial.params, trial.state, trial.values) for trial in trials_of(run)])
    assert found[0] == found[1]
    run, _ = search(settings(out=tmp_path / "c", trials=11, steps=1, seed=4), Silent())
    assert [trial.params for trial in trials_of(run)] != [params for _, params, *_ in found[0]]


def test_a_finished_search_goes_on_with_more_trials(settings: Callable[..., Settings]) -> None:
    run, _ = search(settings(trials=3), Silent())
    before = {file: file.stat().st_mtime_ns for file in run.path.glob("trials/*/*")}
    assert search(settings(trials=3), Silent())[1].reason == "all 3 trials are done"
    run, outcome = search(settings(trials=5), Silent())
    assert outcome.reason == "all 5 trials are done"
    assert [trial.number for trial in trials_of(run)][:5] == [0, 1, 2, 3, 4]
    assert sum(trial.state.is_finished() for trial in trials_of(run)) == 5
    for file, changed in before.items():
        assert file.stat().st_mtime_ns == changed


def test_a_small_space_is_used_up(settings: Callable[..., Settings], tmp_path: Path) -> None:
    space = tmp_path / "two.yaml"
    space.write_text("family: edsr\nparameters: {num_feat: 4, num_block: {type: int, low: 1, high: 2}}\n")
    run, outcome = search(settings(spaces=(str(space),), trials=9, steps=1), Silent())
    assert outcome.reason == "every config that fits the budget has been tried"
    assert sorted(trial.params["num_block"] for trial in trials_of(run)) == [1, 2]


def test_a_categorical_count_stays_within_its_choices(settings: Callable[..., Settings], tmp_path: Path) -> None:
    space = tmp_path / "choices.yaml"
    space.write_text(
        "family: edsr\nparameters:\n  num_feat: {type: categorical, choices: [7, 2, 3, 99]}\n  num_block: 1\n"
    )
    run, _ = search(settings(budget=Budget(10**12), spaces=(str(space),), trials=9, steps=1), Silent())
    assert sorted(trial.params["num_feat"] for trial in trials_of(run)) == [2, 3, 7]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed was 0 and is now 1"),
        ({"steps": 5}, "recipe.steps was 4 and is now 5"),
        ({"budget": Budget(BUDGET - 1)}, f"budget.flops was {BUDGET} and is now {BUDGET - 1}"),
        ({"init": "projection"}, "init was scratch and is now projection"),
    ],
)
def test_a_run_of_other_settings_is_refused(
    settings: Callable[..., Settings], change: dict[str, Any], named: str
) -> None:
    run = RunFolder(settings().folder)
    search(settings(trials=1, steps=4), Silent())
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.suffix == ".json"}
    with pytest.raises(RunError, match=re.escape(named)):
        search(settings(**change), Silent())
    assert {file: file.read_bytes() for file in run.path.rglob("*") if file.suffix == ".json"} == before


def test_other_images_or_another_teacher_are_refused(
    settings: Callable[..., Settings], tmp_path: Path, tiny_teacher: torch.nn.Module
) -> None:
    search(settings(trials=1, steps=1), Silent())
    other = tmp_path / "other.pth"
    torch.save({key: value * 1.01 for key, value in tiny_teacher.state_dict().items()}, other)
    with pytest.raises(RunError, match="teacher was"):
        search(settings(trials=1, steps=1, teachers=(str(other),)), Silent())
    images = tmp_path / "images"
    images.mkdir()
    for seed in range(3):
        write_waves(images / f"waves{seed}.png", 96, 96, seed=seed + 7)
    with pytest.raises(RunError, match=r"train was .* valid was"):
        search(settings(trials=1, steps=1, train=images), Silent())


def test_the_same_teacher_from_another_file_is_the_same(
    settings: Callable[..., Settings], tmp_path: Path, tiny_teacher: torch.nn.Module
) -> None:
    search(settings(trials=1, steps=1), Silent())
    bare = tmp_path / "bare.pt"
    torch.save({f"module.{key}": value for key, value in tiny_teacher.state_dict().items()}, bare)
    assert search(settings(trials=1, steps=1, teachers=(str(bare),)), Silent())[1].reason == "all 1 trials are done"


# --- ends in the middle ---


@pytest.fixture
def none_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every trial trains to its last step, whatever the others reach."""
    monkeypatch.setattr(HalvingRungs, "stops", lambda *_: None)


@pytest.mark.usefixtures("none_stops")
def test_ctrl_c_ends_cleanly_and_the_search_goes_on(settings: Callable[..., Settings]) -> None:
    run, outcome = search(settings(), Interrupting(training=2))
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

    run, outcome = search(settings(), Silent())
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
    whole, _ = search(settings(out=tmp_path / "whole"), Silent())
    search(settings(out=tmp_path / "parts"), Interrupting(training=2))
    parts, _ = search(settings(out=tmp_path / "parts"), Silent())

    def scores(run: RunFolder) -> set[tuple[Any, ...]]:
        return {
            (tuple(s["config"].items()), s["provenance"]["recipe"]["seed"], s["metrics"]["psnr_y"])
            for s in run.students()
        }

    assert scores(whole) == scores(parts)


def test_a_trial_that_a_killed_search_left_running_is_tried_again(settings: Callable[..., Settings]) -> None:
    run, _ = search(settings(trials=2), Silent())
    study = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{run.database}")
    asked = study.ask()  # the third start, as a killed search would have
    kept = {
        "num_feat": asked.suggest_int("num_feat", 2, 8, step=2),
        "num_block": asked.suggest_int("num_block", 1, 2),
        "teacher_share": asked.suggest_float("teacher_share", 0, 1, step=0.5),
        "learning_rate": asked.suggest_float("learning_rate", 1e-4, 1e-3, log=True),
    }
    study._storage.remove_session()
    study._storage._backend.engine.dispose()
    run, outcome = search(settings(trials=3), Silent())
    assert outcome.reason == "all 3 trials are done"
    trials = trials_of(run)
    assert trials[asked.number].state == TrialState.FAIL
    [again] = [trial for trial in trials if trial.user_attrs.get("retry_of") == asked.number]
    assert again.params == kept
    assert again.state in (TrialState.COMPLETE, TrialState.PRUNED)


def test_a_trial_killed_before_it_had_all_parameters_is_no_trouble(settings: Callable[..., Settings]) -> None:
    wanted = settings(trials=9, steps=1)
    run, _ = search(settings(trials=8, steps=1), Silent())
    study = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{run.database}")
    study.ask().suggest_int("num_feat", 8, 8)  # with two blocks this would be over the budget
    study.ask()
    study._storage.remove_session()
    study._storage._backend.engine.dispose()
    run, outcome = search(wanted, Silent())
    assert outcome.reason == "all 9 trials are done"
    assert all(fvcore_flops(file) <= BUDGET for file in run.path.glob("trials/*/student.safetensors"))
    assert all(trial.user_attrs.get("flops", 0) <= BUDGET for trial in trials_of(run))


def test_a_trial_killed_after_its_student_was_written_is_complete(settings: Callable[..., Settings]) -> None:
    run, _ = search(settings(trials=1), Silent())
    study = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{run.database}")
    asked = study.ask()
    asked.suggest_int("num_feat", 2, 8, step=2)
    study._storage.remove_session()
    study._storage._backend.engine.dispose()
    run.trial(asked.number).mkdir()
    written = {"family": "edsr", "metrics": {"psnr_y": 30.0, "ssim_y": 0.9}, "flops": 123, "params": 5, "config": {}}
    (run.trial(asked.number) / "student.json").write_text(json.dumps(written))
    search(settings(trials=2), Silent())
    assert trials_of(run)[asked.number].values == [30.0, 123.0]


def test_the_time_limit_ends_a_search(settings: Callable[..., Settings]) -> None:
    run, outcome = search(settings(timeout=1e-3), Silent())
    assert outcome == Outcome("the time is used up")
    assert not run.students()
    run, outcome = search(settings(timeout=600.0), Silent())
    assert outcome.reason == "all 4 trials are done"


def test_the_time_limit_ends_a_training(settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()

    class SlowStep(Silent):
        def step(self, trial: int, step: int) -> None:
            monkeypatch.setattr("autocompress.search.driver.time.monotonic", lambda: 1e12 + next(clock))

    with monkeypatch.context():
        run, outcome = search(settings(timeout=600.0), SlowStep())
    assert outcome.reason == "the time is used up"
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
            search(settings(), Silent())
    assert search(settings(), Silent())[1].reason == "all 4 trials are done"


@pytest.mark.usefixtures("none_stops")
def test_a_diverging_trial_fails_alone(settings: Callable[..., Settings], tmp_path: Path) -> None:
    space = tmp_path / "wild.yaml"
    space.write_text(
        "family: edsr\nparameters: {num_feat: 2, num_block: 1, "
        "learning_rate: {type: categorical, choices: [1.0e-3, 1.0e+30]}}\n"
    )
    progress = Silent()
    run, outcome = search(settings(spaces=(str(space),), trials=2), progress)
    assert outcome.reason == "all 2 trials are done"
    by_rate = {trial.params["learning_rate"]: trial for trial in trials_of(run)}
    assert by_rate[1e-3].state == TrialState.COMPLETE
    assert by_rate[1e30].state == TrialState.FAIL
    assert "the loss is" in by_rate[1e30].user_attrs["reason"]
    assert any("failed: the loss is" in event for event in progress.events)
    assert len(run.students()) == 1

    again, outcome = search(settings(spaces=(str(space),), trials=5), Silent())
    assert outcome.reason == "every config that fits the budget has been tried"
    assert len(trials_of(again)) == 2


def test_a_search_in_which_every_trial_fails_ends(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: Any) -> None:
        raise TrainingDiverged("the loss is nan")

    monkeypatch.setattr(Training, "_update", diverge)
    run, outcome = search(settings(trials=2), Silent())
    assert outcome.reason == "all 2 trials are done"
    assert students(run).empty
    with pytest.raises(RunError, match="no trial has finished yet"):
        pareto(run)
    with pytest.raises(RunError, match="no trial has finished yet"):
        Story.of(run)


# --- who may write where ---


def test_a_second_search_in_the_same_folder_is_refused(settings: Callable[..., Settings]) -> None:
    wanted = settings(trials=1)
    with RunFolder(wanted.folder).opened():
        with pytest.raises(RunError, match="another search is running in this folder"):
            search(wanted, Silent())
        assert not (wanted.folder / "config.json").exists()
    search(wanted, Silent())


def test_a_folder_of_other_things_is_refused(settings: Callable[..., Settings]) -> None:
    wanted = settings()
    wanted.folder.mkdir()
    (wanted.folder / "thesis.tex").write_text("all I have")
    with pytest.raises(RunError, match="not empty"):
        search(wanted, Silent())
    assert [entry.name for entry in wanted.folder.iterdir()] == ["thesis.tex"]


def test_the_folder_is_gone_again_when_the_preparation_fails(settings: Callable[..., Settings], tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for seed in range(2):
        write_waves(images / f"waves{seed}.png", 96, 96, seed=seed)
    write_waves(images / "damaged.png", 96, 96, seed=2)
    whole = (images / "damaged.png").read_bytes()
    (images / "damaged.png").write_bytes(whole[: len(whole) // 2])  # the header stays good
    deep = tmp_path / "runs" / "deep"
    with pytest.raises(DataError, match=r"damaged\.png"):
        search(settings(train=images, out=deep), Silent())
    assert not deep.parent.exists()

    mine = tmp_path / "mine"
    mine.mkdir()
    with pytest.raises(DataError, match=r"damaged\.png"):
        search(settings(train=images, out=mine), Silent())
    assert mine.is_dir()
    assert not list(mine.iterdir())


def test_what_is_made_without_any_choice() -> None:
    task = open_task(Settings(Budget(20 * 10**9)))
    (branch,) = task.branches
    assert (branch.teacher_name, branch.target_name, task.scale, branch.name) == (*["edsr-baseline-x2"] * 2, 2, "edsr")
    assert len(task.valid) >= 4
    assert not {file.hr for file in task.train.files} & {file.hr for file in task.valid.files}


# --- images ---


def test_bad_images_are_named_or_skipped(settings: Callable[..., Settings], tmp_path: Path) -> None:
    images, valid = tmp_path / "images", tmp_path / "valid"
    for folder in (images, valid):
        folder.mkdir()
        write_waves(folder / "good.png", 96, 96, seed=1)
    (images / "text.png").write_text("no picture")
    write_waves(valid / "tiny.png", 8, 8, seed=1)
    with pytest.raises(DataError, match=r"text\.png"):
        search(settings(train=images, val=valid), Silent())
    progress = Silent()
    wanted = settings(train=images, val=valid, trials=1, steps=1, skip_bad_images=True)
    run, _ = search(wanted, progress)
    assert set(run.config["skipped_images"]) == {"text", "tiny"}
    assert sum(fact.startswith("skipped") for fact in progress.facts) == 2
    assert len(run.students()) == 1


def test_an_image_that_anything_upscales_perfectly_is_no_trouble(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """PSNR is infinite for a picture of one colour, which JSON and a mean cannot hold."""
    valid = tmp_path / "valid"
    valid.mkdir()
    Image.new("RGB", (64, 64), (120, 120, 120)).save(valid / "grey.png")
    with pytest.raises(DataError, match=r"grey"):
        search(settings(val=valid, trials=1, steps=1), Silent())


# --- settings ---


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"trials": 0}, "trials is 0, but must be >= 1"),
        ({"steps": 0}, "steps is 0, but must be >= 1"),
        ({"seed": -1}, "seed is -1, but must be"),
        ({"seed": 2**32}, f"seed is {2**32}, but must be"),
        ({"init": "magic"}, "init is 'magic', but must be one of projection, density, copy, taylor, scratch"),
        ({"train": None, "val": Path("somewhere")}, "give --train DIR too"),
    ],
)
def test_settings_are_checked(settings: Callable[..., Settings], fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(rule)):
        settings(**fields)


def test_a_run_is_named_after_what_it_searches() -> None:
    assert Settings(Budget(20 * 10**9), seed=3).folder == Path("runs", "edsr-20G-seed3")
    assert Settings(Budget(None, 500_000), spaces=("my/own.yaml",)).folder == Path("runs", "own-500K-seed0")


def test_the_parameter_budget_holds(settings: Callable[..., Settings]) -> None:
    limit = EDSRFamily().params(EDSRConfig(2, 4, 2))
    run, _ = search(settings(budget=Budget(None, limit), trials=6, steps=1), Silent())
    assert all(trial.user_attrs["params"] <= limit for trial in trials_of(run))
    assert max(trial.params["num_feat"] for trial in trials_of(run)) == 4
