"""Training a network from scratch: resumable, and refused where it is another training."""

import dataclasses
import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.own_network import CODE, write_own_network
from PIL import Image
from typer.testing import CliRunner

from autocompress import load, prune
from autocompress.cli import app
from autocompress.compute.precision import Precision
from autocompress.data.folders import open_folder
from autocompress.distill.checkpointed_training import Pace, precision_to_go_on
from autocompress.distill.distillation import TrainingTask, open_training_images, state_file, train_to_file
from autocompress.distill.learning_curve import Points
from autocompress.distill.recipe import Recipe, paper_recipe
from autocompress.errors import CheckpointError, ConfigError, DataError, InvalidInput, RunError
from autocompress.evaluation.scores import bicubic_upscaler, check_finite, evaluate, network_upscaler, pairs
from autocompress.io import checkpoints
from autocompress.networks import parse_config
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.networks.loading import know_code
from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.networks.weights import digest

SMALLEST = EDSRConfig(2, 4, 1)
RECIPE = Recipe(steps=6, batch_size=2, patch_size=16, teacher_share=0.0)
EACH_STEP = Pace(save_every=0.0, saving_share=math.inf, scoring_share=math.inf)
SMALL = ["--set", "num_feat=4", "--set", "num_block=1", "--batch-size", "2", "--patch-size", "16"]


def task(photos: Path, config: EDSRConfig = SMALLEST, **changes: object) -> TrainingTask:
    source = open_training_images(photos, config.scale, RECIPE)
    fields = {"start": prune.from_scratch(EDSRFamily(), config, 0), "source": source, "target": None, "recipe": RECIPE}
    return TrainingTask(**{**fields, **changes})  # type: ignore[arg-type]


def quiet(_: object) -> None:
    return None


class Killed(Exception):
    """In the middle of a training."""


def stop_at(step: int) -> object:
    def on_step(done: int) -> None:
        if done == step:
            raise Killed

    return on_step


def edsr_student(_: Path) -> SRNetwork:
    return prune.from_scratch(EDSRFamily(), SMALLEST, 0)


def own_student(folder: Path) -> SRNetwork:
    write_own_network(folder / "own.py")
    family = know_code(f"{folder / 'own.py'}:OwnNetwork", ["feat=6"])
    return prune.from_scratch(family, family.config(), 0)


@pytest.mark.parametrize("student", [edsr_student, own_student])
def test_a_training_that_is_killed_goes_on_as_if_it_had_not_been(
    photos: Path, tmp_path: Path, student: Callable[[Path], SRNetwork]
) -> None:
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    code = tmp_path / "code"
    code.mkdir()
    train_to_file(task(photos, start=student(code)), whole, Precision(), quiet, quiet)
    steps, lines = list[int](), list[str]()
    with pytest.raises(Killed):
        train_to_file(task(photos, start=student(code)), killed, Precision(), quiet, stop_at(4), pace=EACH_STEP)  # type: ignore[arg-type]
    assert not killed.exists()
    train_to_file(task(photos, start=student(code)), killed, Precision(), lines.append, steps.append)
    assert steps == [4, 5, 6]
    assert "going on after 3 of 6 steps" in lines
    first, second = load(whole).state_dict(), load(killed).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert {path.name for path in tmp_path.iterdir()} == {
        "whole.safetensors",
        "whole.json",
        "killed.safetensors",
        "killed.json",
        "code",
    }


def test_another_training_is_refused_by_what_differs(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    with pytest.raises(Killed):
        train_to_file(task(photos), out, Precision(), quiet, stop_at(3), pace=EACH_STEP)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="another config"):
        train_to_file(task(photos, EDSRConfig(2, 6, 1)), out, Precision(), quiet, quiet)
    state = out.with_suffix(".state")
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="remove it to begin anew"):
        train_to_file(task(photos), out, Precision(), quiet, quiet)


def test_a_training_by_own_code_that_changed_is_refused(photos: Path, tmp_path: Path) -> None:
    """The same file and callable, of which the student would be another network."""
    out = tmp_path / "net.safetensors"
    with pytest.raises(Killed):
        train_to_file(task(photos, start=own_student(tmp_path)), out, Precision(), quiet, stop_at(3), pace=EACH_STEP)  # type: ignore[arg-type]
    (tmp_path / "own.py").write_text(CODE.replace("F.relu(layer(x))", "F.gelu(layer(x))"))
    family = know_code(f"{tmp_path / 'own.py'}:OwnNetwork", ["feat=6"])
    changed = prune.from_scratch(family, family.config(), 0)
    with pytest.raises(RunError, match="another code_digest"):
        train_to_file(task(photos, start=changed), out, Precision(), quiet, quiet)
    assert not out.exists()


def test_it_learns_from_a_target(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    recipe = Recipe(steps=3, batch_size=2, patch_size=16, teacher_share=1.0)
    alone, taught = tmp_path / "alone.safetensors", tmp_path / "taught.safetensors"
    train_to_file(task(photos), alone, Precision(), quiet, quiet)
    target = load(teacher_file)
    train_to_file(task(photos, target=target, recipe=recipe), taught, Precision(), quiet, quiet)
    assert json.loads(taught.with_suffix(".json").read_text())["provenance"]["target_digest"] == digest(target)
    assert not torch.equal(load(alone).conv_last.weight, load(taught).conv_last.weight)  # type: ignore[union-attr]


def test_a_target_of_another_scale_is_refused(photos: Path, teacher_file: Path) -> None:
    with pytest.raises(InvalidInput, match="upscales by 2, but the network by 3"):
        task(photos, EDSRConfig(3, 4, 1), target=load(teacher_file))


def test_the_command(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "folder" / "net.safetensors"
    command = ["teacher", "train", "edsr", "--train", str(photos), "--steps", "3", "--out", str(out), *SMALL]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(out)
    assert load(out).config == EDSRConfig(2, 4, 1)
    about = json.loads(out.with_suffix(".json").read_text())
    assert about["provenance"]["recipe"]["steps"] == 3


def test_it_is_scored_on_the_way(photos: Path, tmp_path: Path) -> None:
    out, lines, curves = tmp_path / "net.safetensors", list[str](), list[Points]()
    recipe = dataclasses.replace(RECIPE, steps=20)
    scored = task(photos, recipe=recipe, valid=open_folder(photos, 2, min_size=32))
    with pytest.raises(Killed):  # with the points of the curve in the state
        train_to_file(scored, out, Precision(), lines.append, stop_at(9), curves.append, EACH_STEP)  # type: ignore[arg-type]
    train_to_file(scored, out, Precision(), lines.append, quiet, curves.append, EACH_STEP)
    assert len([line for line in lines if " images of " in line and " dB after " in line]) == 11
    about = json.loads(out.with_suffix(".json").read_text())
    assert about["curve"] == [list(point) for point in curves[-1]]
    assert [step for step, _ in about["curve"]] == list(range(0, 21, 2))
    (scores,) = about["metrics"].values()
    assert about["curve"][-1][1] == pytest.approx(scores["psnr_y"])
    assert "the last is kept" in lines[-1]
    expected = evaluate(network_upscaler(load(out)), pairs(open_folder(photos, 2, min_size=32)), 2)
    assert scores["psnr_y"] == pytest.approx(expected.mean["psnr_y"])


def test_a_state_of_an_earlier_version_has_no_curve(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    scored = task(photos, valid=open_folder(photos, 2, min_size=32))
    with pytest.raises(Killed):
        train_to_file(scored, out, Precision(), quiet, stop_at(4), pace=EACH_STEP)  # type: ignore[arg-type]
    state = torch.load(out.with_suffix(".state"), weights_only=True)
    del state["curve"]
    checkpoints.save_objects(out.with_suffix(".state"), state)
    train_to_file(scored, out, Precision(), quiet, quiet, pace=EACH_STEP)
    assert [step for step, _ in json.loads(out.with_suffix(".json").read_text())["curve"]] == [3, 4, 5, 6]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a training on a CPU does not go on where there is a GPU")
def test_a_training_goes_on_in_its_own_precision(photos: Path, tmp_path: Path) -> None:
    out, used = tmp_path / "net.safetensors", Precision(dtype="bfloat16", channels_last=True)
    assert precision_to_go_on(state_file(out)) is None
    with pytest.raises(Killed):
        train_to_file(task(photos), out, used, quiet, stop_at(3), pace=EACH_STEP)  # type: ignore[arg-type]
    found = precision_to_go_on(state_file(out))
    assert found == dataclasses.replace(used, threads=torch.get_num_threads())
    state = torch.load(state_file(out), weights_only=True)
    state["precision"]["device"] = "cuda"
    checkpoints.save_objects(state_file(out), state)
    assert precision_to_go_on(state_file(out)) is None
    del state["precision"]  # as earlier versions wrote it
    checkpoints.save_objects(state_file(out), state)
    assert precision_to_go_on(state_file(out)) is None


def test_of_many_pixels_a_training_takes_some_and_says_so(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    source = open_training_images(photos, 2, RECIPE, most_pixels=4000)
    train_to_file(task(photos, source=source), out, Precision(), quiet, quiet)
    said = json.loads(out.with_suffix(".json").read_text())["provenance"]["trained_on"]
    assert re.fullmatch(r"3 images of \w+ \(\d+\.\d% of their pixels, a window of each\)", said)
    whole = open_training_images(photos, 2, RECIPE)
    assert whole.window is None
    assert whole.digest != source.digest


def test_going_on_from_a_file(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    command = ["teacher", "train", "edsr", "--train", str(photos), "--steps", "1", "--learning-rate", "1e-9"]
    command += ["--batch-size", "2", "--patch-size", "16", "--out", str(out), "--start", str(teacher_file)]
    assert CliRunner().invoke(app, command).exit_code == 0
    before, after = load(teacher_file), load(out)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(before.parameters(), after.parameters(), strict=True))
    assert json.loads(out.with_suffix(".json").read_text())["provenance"]["start_digest"] == digest(before)
    with pytest.raises(InvalidInput, match=r"--set num_feat=4 was given, but .* has a config"):
        CliRunner().invoke(app, [*command, "--set", "num_feat=4"], catch_exceptions=False)
    with pytest.raises(InvalidInput, match="is edsr, but swinir was asked for"):
        CliRunner().invoke(app, ["teacher", "train", "swinir", *command[3:]], catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rdn", "--out", "a.safetensors"], "no family is called 'rdn'"),
        (["edsr", "--out", "a.pth"], "give a name such as a.safetensors"),
        (["edsr", "--out", "a.safetensors", "--set", "num_feat"], "'num_feat' sets nothing"),
        (["edsr", "--out", "a.safetensors", "--set", "width=3"], "has no field 'width'"),
        (["edsr", "--out", "a.safetensors", "--set", "num_feat=wide"], "num_feat is 'wide'"),
        (["edsr", "--out", "a.safetensors", "--steps", "0"], "steps is 0, but must be >= 1"),
    ],
)
def test_bad_input(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match=message):
        CliRunner().invoke(app, ["teacher", "train", *arguments], catch_exceptions=False)
    assert not list(tmp_path.iterdir())


def test_lists_are_written_as_lists() -> None:
    config = parse_config("swinir", 2, ["depths=[2, 4]", "num_heads=[3, 3]", "embed_dim=12"])
    assert config == SwinIRConfig(2, 12, (2, 4), (3, 3))
    with pytest.raises(ConfigError, match="must be a number"):
        parse_config("swinir", 2, ["depths=[2"])


def test_a_state_with_more_to_it_is_another_training(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    with pytest.raises(Killed):
        train_to_file(task(photos, described={"start": "a"}), out, Precision(), quiet, stop_at(3), pace=EACH_STEP)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="another start: a there, None now"):
        train_to_file(task(photos), out, Precision(), quiet, quiet)


def test_an_image_without_any_error_is_named(photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), (114, 111, 103)).save(tmp_path / "flat.png")
    flat = open_folder(tmp_path, 2, min_size=32)
    with pytest.raises(DataError, match="flat"):
        check_finite(evaluate(bicubic_upscaler(2), pairs(flat), 2))


def test_the_papers_learning_rate_halves() -> None:
    recipe = paper_recipe("swinir")
    rates = [recipe.learning_rate_at(step) for step in (0, 249_999, 250_000, 400_000, 799_999)]
    assert rates == [1e-4, 1e-4, 5e-5, 2.5e-5, 1.25e-5]
