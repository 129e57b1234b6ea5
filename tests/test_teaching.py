"""Training a network from scratch: resumable, and refused where it is another training."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from autocompress import load
from autocompress.arithmetic import Arithmetic
from autocompress.cli import app
from autocompress.data.bank import PixelBank
from autocompress.data.patches import PatchSampler
from autocompress.data.sources import open_folder
from autocompress.distill import course
from autocompress.distill.recipe import Recipe
from autocompress.distill.teaching import Lesson, teach
from autocompress.distill.training import Training
from autocompress.errors import CheckpointError, ConfigError, InvalidInput, RunError
from autocompress.families import parse_config
from autocompress.families.edsr.network import EDSR, EDSRConfig
from autocompress.families.swinir.network import SwinIR, SwinIRConfig

RECIPE = Recipe(steps=6, batch_size=2, patch_size=16, teacher_share=0.0)
SMALL = ["--set", "num_feat=4", "--set", "num_block=1", "--batch-size", "2", "--patch-size", "16"]


def lesson(photos: Path, **changes: object) -> Lesson:
    fields = {"family": "edsr", "config": EDSRConfig(2, 4, 1), "train": photos, "target": None, "recipe": RECIPE}
    return Lesson(**{**fields, **changes})  # type: ignore[arg-type]


def quiet(_: object) -> None:
    return None


class Killed(Exception):
    """In the middle of a training."""


def stop_at(step: int) -> object:
    def on_step(done: int) -> None:
        if done == step:
            raise Killed

    return on_step


def test_a_training_that_is_killed_goes_on_as_if_it_had_not_been(photos: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    teach(lesson(photos), whole, quiet, quiet)
    steps: list[int] = []
    with pytest.raises(Killed):
        teach(lesson(photos), killed, quiet, stop_at(4))  # type: ignore[arg-type]
    assert not killed.exists()
    teach(lesson(photos), killed, quiet, steps.append)
    assert steps == [4, 5, 6]
    first, second = load(whole).state_dict(), load(killed).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert {path.name for path in tmp_path.iterdir()} == {
        "whole.safetensors",
        "whole.json",
        "killed.safetensors",
        "killed.json",
    }


def test_another_training_is_refused_by_what_differs(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    with pytest.raises(Killed):
        teach(lesson(photos), out, quiet, stop_at(3))  # type: ignore[arg-type]
    with pytest.raises(RunError, match="another config"):
        teach(lesson(photos, config=EDSRConfig(2, 6, 1)), out, quiet, quiet)
    state = out.with_suffix(".state")
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="remove it to begin anew"):
        teach(lesson(photos), out, quiet, quiet)


def test_it_learns_from_a_target(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    recipe = Recipe(steps=3, batch_size=2, patch_size=16, teacher_share=1.0)
    alone, taught = tmp_path / "alone.safetensors", tmp_path / "taught.safetensors"
    teach(lesson(photos), alone, quiet, quiet)
    teach(lesson(photos, target=str(teacher_file), recipe=recipe), taught, quiet, quiet)
    assert json.loads(taught.with_suffix(".json").read_text())["provenance"]["target"] == str(teacher_file)
    assert not torch.equal(load(alone).conv_last.weight, load(taught).conv_last.weight)  # type: ignore[union-attr]


def test_a_target_of_another_scale_is_refused(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="upscales by 2, but the network by 3"):
        teach(
            lesson(photos, config=EDSRConfig(3, 4, 1), target=str(teacher_file)),
            tmp_path / "a.safetensors",
            quiet,
            quiet,
        )


def test_the_command(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "folder" / "net.safetensors"
    command = ["teacher", "train", "edsr", "--train", str(photos), "--steps", "3", "--out", str(out), *SMALL]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(out)
    assert load(out).config == EDSRConfig(2, 4, 1)
    about = json.loads(out.with_suffix(".json").read_text())
    assert about["provenance"]["recipe"]["steps"] == 3


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
    config = parse_config("swinir", {"scale": "2"}, ["depths=[2, 4]", "num_heads=[3, 3]", "embed_dim=12"])
    assert config == SwinIRConfig(2, 12, (2, 4), (3, 3))
    with pytest.raises(ConfigError, match="not a number"):
        parse_config("swinir", {}, ["depths=[2"])


@pytest.mark.parametrize("network", [EDSR(EDSRConfig(2, 4, 1)), SwinIR(SwinIRConfig(2, 4, (1,), (1,), 4))])
@pytest.mark.parametrize("faster", [True, False])
def test_compiling_is_kept_only_where_it_is_faster(
    network: EDSR, faster: bool, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = PixelBank.open(open_folder(photos, 2, min_size=32))
    recipe = Recipe(steps=100, batch_size=1, patch_size=16, teacher_share=0.0)
    training = Training(network, PatchSampler(bank, patch_size=16, batch_size=1, seed=0), recipe, Arithmetic())
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda module: setattr(module, "_compiled_call_impl", module.forward)
    )
    seconds = iter([2.0, 1.0] if faster else [1.0, 2.0])
    monkeypatch.setattr(course, "_seconds_a_step", lambda *_: next(seconds))
    course.compile_if_faster(training, quiet)
    compiled = [part._compiled_call_impl is not None for part in training._student.repeated()]
    assert compiled == [faster]


def test_a_compiler_that_fails_is_done_without(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = PixelBank.open(open_folder(photos, 2, min_size=32))
    recipe = Recipe(steps=100, batch_size=1, patch_size=16, teacher_share=0.0)
    sampler = PatchSampler(bank, patch_size=16, batch_size=1, seed=0)
    training = Training(EDSR(EDSRConfig(2, 4, 1)), sampler, recipe, Arithmetic())

    def fail(*_: object) -> None:
        raise OSError("no compiler")

    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: setattr(module, "_compiled_call_impl", fail))
    with pytest.warns(UserWarning, match="torch.compile failed.*no compiler"):
        course.compile_if_faster(training, quiet)
    training.run_to(training.step + 1)
