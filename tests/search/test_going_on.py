"""A search in the folder of an earlier one: the same goes on, another is refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.images import write_waves
from helpers.small_search import BUDGET, Recorder, run_search, trials_of

from autocompress.errors import RunError
from autocompress.search import RunFolder, Settings


def test_a_finished_search_goes_on_with_more_trials(settings: Callable[..., Settings]) -> None:
    run, _ = run_search(settings(trials=3))
    before = {file: file.stat().st_mtime_ns for file in run.path.glob("trials/*/*")}
    assert run_search(settings(trials=3))[1].reason == "all 3 trials are done"
    run, outcome = run_search(settings(trials=5))
    assert outcome.reason == "all 5 trials are done"
    assert [trial.number for trial in trials_of(run)][:5] == [0, 1, 2, 3, 4]
    assert sum(trial.state.is_finished() for trial in trials_of(run)) == 5
    for file, changed in before.items():
        assert file.stat().st_mtime_ns == changed


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param({"seed": 1}, "seed was 0 and is now 1", marks=pytest.mark.slow),
        ({"steps": 5}, "recipe.steps was 4 and is now 5"),
        ({"budget_flops": BUDGET - 1}, f"budget.flops was {BUDGET} and is now {BUDGET - 1}"),
        pytest.param({"init": "projection"}, "init was scratch and is now projection", marks=pytest.mark.slow),
    ],
)
def test_a_run_of_other_settings_is_refused(
    settings: Callable[..., Settings], change: dict[str, Any], named: str
) -> None:
    run = RunFolder(settings().folder)
    run_search(settings(trials=1, steps=4))
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.suffix == ".json"}
    with pytest.raises(RunError, match=re.escape(named)):
        run_search(settings(**change))
    assert {file: file.read_bytes() for file in run.path.rglob("*") if file.suffix == ".json"} == before


def test_other_images_or_another_teacher_are_refused(
    settings: Callable[..., Settings], tmp_path: Path, tiny_teacher: torch.nn.Module
) -> None:
    run_search(settings(trials=1, steps=1))
    other = tmp_path / "other.pth"
    torch.save({key: value * 1.0001 for key, value in tiny_teacher.state_dict().items()}, other)
    with pytest.raises(RunError, match="teacher was"):
        run_search(settings(trials=1, steps=1, teachers=(str(other),)), Recorder())
    images = tmp_path / "images"
    images.mkdir()
    for seed in range(3):
        write_waves(images / f"waves{seed}.png", 96, 96, seed=seed + 7)
    with pytest.raises(RunError, match=r"train: waves1, waves2 changed; valid: waves0 changed"):
        run_search(settings(trials=1, steps=1, train=images))


def test_the_same_teacher_from_another_file_is_the_same(
    settings: Callable[..., Settings], tmp_path: Path, tiny_teacher: torch.nn.Module
) -> None:
    run_search(settings(trials=1, steps=1))
    bare = tmp_path / "bare.pt"
    torch.save({f"module.{key}": value for key, value in tiny_teacher.state_dict().items()}, bare)
    assert (
        run_search(settings(trials=1, steps=1, teachers=(str(bare),)), Recorder())[1].reason == "the only trial is done"
    )


def test_a_second_search_in_the_same_folder_is_refused(settings: Callable[..., Settings]) -> None:
    wanted = settings(trials=1)
    with RunFolder(wanted.folder).opened():
        with pytest.raises(RunError, match="another search is running in this folder"):
            run_search(wanted)
        assert not (wanted.folder / "config.json").exists()
    run_search(wanted)


def test_a_folder_of_other_things_is_refused(settings: Callable[..., Settings]) -> None:
    wanted = settings()
    wanted.folder.mkdir()
    (wanted.folder / "thesis.tex").write_text("all I have")
    with pytest.raises(RunError, match="not empty"):
        run_search(wanted)
    assert [entry.name for entry in wanted.folder.iterdir()] == ["thesis.tex"]
