"""A whole search, small: what it takes, and what it never does."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.images import write_waves
from helpers.small_search import Recorder, run_search, trials_of
from PIL import Image

from autocompress.errors import DataError, InvalidInput
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.search import Settings
from autocompress.search.results.rows import front_rows
from autocompress.search.task import open_task
from autocompress.search.trial.trial import FIRST_RUNG


@pytest.mark.parametrize(("count", "steps"), [(6, 1), pytest.param(12, 3 * FIRST_RUNG, marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_trials_and_front_and_another_others(
    settings: Callable[..., Settings], tmp_path: Path, count: int, steps: int
) -> None:
    """To the last bit of the students; some are stopped on their way where there is a rung."""
    found = []
    for name in ("a", "b"):
        run, _ = run_search(settings(out=tmp_path / name, trials=count, steps=steps, seed=3))
        trials = [(trial.number, trial.params, trial.state, trial.values) for trial in trials_of(run)]
        weights = {file.parent.name: file.read_bytes() for file in run.path.glob("trials/*/student.safetensors")}
        front = [{key: row[key] for key in row if key != "file"} for row in (front_rows(run))]
        found.append((trials, weights, front))
    assert found[0] == found[1]
    trials, weights, front = found[0]
    assert 0 < len(front) <= len(weights) <= len(trials) == count
    assert (len(weights) < count) == (steps > 1)
    other, _ = run_search(settings(out=tmp_path / "other", trials=2, steps=1, seed=4))
    assert [trial.params for trial in trials_of(other)] != [params for _, params, _, _ in trials[:2]]


def test_a_small_space_is_used_up(settings: Callable[..., Settings], tmp_path: Path) -> None:
    space = tmp_path / "two.yaml"
    space.write_text("family: edsr\nparameters: {num_feat: 4, num_block: {type: int, low: 1, high: 2}}\n")
    run, outcome = run_search(settings(spaces=(str(space),), trials=9, steps=1), Recorder())
    assert outcome.reason == "every config that fits the budget has been tried"
    assert sorted(trial.params["num_block"] for trial in trials_of(run)) == [1, 2]


def test_a_categorical_count_stays_within_its_choices(settings: Callable[..., Settings], tmp_path: Path) -> None:
    space = tmp_path / "choices.yaml"
    space.write_text(
        "family: edsr\nparameters:\n  num_feat: {type: categorical, choices: [7, 2, 3, 99]}\n  num_block: 1\n"
    )
    run, _ = run_search(settings(budget_flops=10**12, spaces=(str(space),), trials=9, steps=1), Recorder())
    assert sorted(trial.params["num_feat"] for trial in trials_of(run)) == [2, 3, 7]


def test_the_parameter_budget_holds(settings: Callable[..., Settings]) -> None:
    limit = EDSRFamily().params(EDSRConfig(2, 4, 2))
    run, _ = run_search(settings(budget_params=limit, trials=5, steps=1))
    assert all(trial.user_attrs["params"] <= limit for trial in trials_of(run))
    assert max(trial.params["num_feat"] for trial in trials_of(run)) == 4


def test_what_is_made_without_any_choice() -> None:
    task = open_task(Settings(budget_flops=20 * 10**9))
    (student_space,) = task.joint_space
    assert (student_space.teacher_name, student_space.target_name, task.scale, student_space.name) == (
        *["edsr-baseline-x2"] * 2,
        2,
        "edsr",
    )
    assert len(task.valid) >= 4
    assert not {file.hr for file in task.train.files} & {file.hr for file in task.valid.files}


# --- images ---


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
        run_search(settings(train=images, out=deep))
    assert not deep.parent.exists()

    mine = tmp_path / "mine"
    mine.mkdir()
    with pytest.raises(DataError, match=r"damaged\.png"):
        run_search(settings(train=images, out=mine))
    assert mine.is_dir()
    assert not list(mine.iterdir())


def test_bad_images_are_named_or_skipped(settings: Callable[..., Settings], tmp_path: Path) -> None:
    images, valid = tmp_path / "images", tmp_path / "valid"
    for folder in (images, valid):
        folder.mkdir()
        write_waves(folder / "good.png", 96, 96, seed=1)
    (images / "text.png").write_text("no picture")
    write_waves(valid / "tiny.png", 8, 8, seed=1)
    with pytest.raises(DataError, match=r"text\.png"):
        run_search(settings(train=images, val=valid))
    progress = Recorder()
    wanted = settings(train=images, val=valid, trials=1, steps=1, skip_bad_images=True)
    run, _ = run_search(wanted, progress)
    assert set(run.config.skipped_images) == {"text", "tiny"}
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
        run_search(settings(val=valid, trials=1, steps=1))


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
    assert Settings(budget_flops=20 * 10**9, seed=3).folder == Path("runs", "edsr-20G-seed3")
    assert Settings(budget_params=500_000, spaces=("my/own.yaml",)).folder == Path("runs", "own-500K-seed0")
