"""What a search leaves behind."""

import csv
import json

import optuna
import pytest
import torch
from helpers.network_files import fvcore_flops
from helpers.small_search import BUDGET, FinishedSearch, objectives, trials_of
from optuna.trial import TrialState

import autocompress
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.search import Outcome
from autocompress.search.results.front import pareto
from autocompress.search.trial.trial import rung_steps

LOCKS = {".lock", ".asking.lock", "sessions", "study.db-wal", "study.db-shm"}


def test_a_search_ends_with_all_its_trials_accounted_for(finished: FinishedSearch) -> None:
    run, outcome, progress = finished
    assert outcome == Outcome("all 10 trials are done")
    trials = trials_of(run)
    assert len(trials) == len(progress.events) == 10
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in trials:
        complete = trial.state == TrialState.COMPLETE
        assert (run.trial(trial.number) / "student.safetensors").is_file() == complete
        assert trial.user_attrs["psnr_y_at_step_0"] > 0
        assert complete or "the better half goes on" in trial.user_attrs["reason"]
        if complete:
            assert trial.values == objectives(run, trial.number)


def test_a_training_is_scored_at_rungs_that_are_not_too_early() -> None:
    assert rung_steps(300) == [33, 100, 300]
    assert rung_steps(90) == [30, 90]
    assert rung_steps(4) == [4]


def test_no_config_is_tried_twice(finished: FinishedSearch) -> None:
    tried = [tuple(sorted(trial.params.items())) for trial in trials_of(finished[0])]
    assert len(set(tried)) == len(tried)


def test_the_study_names_its_metrics(finished: FinishedSearch) -> None:
    database = finished[0].database
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{database}")
    assert study.study_name == finished[0].path.name
    assert study.metric_names == ["PSNR-Y (dB)", "FLOPs (1280x720)"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    study._storage.remove_session()
    study._storage._backend.engine.dispose()


def test_the_times_add_up(finished: FinishedSearch) -> None:
    (session,) = finished[0].times
    assert sum(session.parts.values()) == pytest.approx(session.total, abs=0.05)
    assert {"training", "scoring", "shrinking", "sampling", "storing", "writing"} <= session.parts.keys()
    assert all(seconds >= 0 for seconds in session.parts.values())
    assert 0 < (session.before_training or 0) < session.total


def test_the_run_folder_holds_everything(finished: FinishedSearch) -> None:
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
    assert any("2 images of photos" in fact and "1 image of photos" in fact for fact in progress.facts)


def test_student_json_describes_the_student(finished: FinishedSearch) -> None:
    for file in finished[0].path.glob("trials/*/student.json"):
        student = json.loads(file.read_text())
        assert {"family", "config", "scale", "flops", "params", "metrics", "provenance"} <= student.keys()
        assert {"psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "psnr_y_edge"} == student["metrics"].keys()
        assert {"teacher_digest", "recipe", "psnr_y_before_training", "versions"} <= student["provenance"].keys()
        network = autocompress.load(file.with_suffix(".safetensors"))
        assert student["params"] == sum(p.numel() for p in network.parameters())
        assert network.config.to_dict() == student["config"]
        assert network(torch.rand(1, 3, 9, 7)).shape == (1, 3, 18, 14)


def test_every_trial_trains_with_a_seed_of_its_own(finished: FinishedSearch) -> None:
    for student in finished[0].students():
        assert student.provenance.recipe["seed"] == student.trial


def test_no_student_is_over_budget_by_fvcore(finished: FinishedSearch) -> None:
    files = list(finished[0].path.glob("trials/*/student.safetensors"))
    assert files
    for file in files:
        flops = fvcore_flops(file)
        assert flops <= BUDGET
        assert flops == json.loads(file.with_suffix(".json").read_text())["flops"]


def test_pareto_csv_is_the_front(finished: FinishedSearch) -> None:
    run = finished[0]
    with (run.path / "pareto.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"trial", "family", "psnr_y", "ssim_y", "flops", "params"} <= rows[0].keys()
    points = [(float(row["psnr_y"]), int(row["flops"])) for row in rows]
    assert points == sorted(points)
    everyone = [(s.metrics["psnr_y"], s.flops) for s in run.students()]
    for psnr, flops in everyone:
        dominated = any(p >= psnr and f <= flops and (p, f) != (psnr, flops) for p, f in everyone)
        assert ((psnr, flops) in points) == (not dominated)
    content = json.loads((run.path / "pareto.json").read_text())
    assert [student["trial"] for student in content["students"]] == [int(row["trial"]) for row in rows]
    assert content["pick"] == int(rows[-1]["trial"])


def test_the_table_compares_with_bicubic_and_the_teacher(finished: FinishedSearch) -> None:
    run = finished[0]
    references = run.config.references
    for row in pareto(run).to_dict(orient="records"):
        assert row["gain_over_bicubic"] == pytest.approx(row["psnr_y"] - references.bicubic.psnr_y)
        assert row["loss_to_teacher"] == pytest.approx(references.teacher.psnr_y - row["psnr_y"])
        assert row["flops_share"] == pytest.approx(row["flops"] / references.teacher.flops)
