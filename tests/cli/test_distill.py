"""`autocompress distill`: a student from any start, by either recipe, taught by any network; and bad input."""

import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from autocompress import load, prune
from autocompress.cli import app
from autocompress.errors import InvalidInput
from autocompress.io import checkpoints
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig


def distill(photos: Path, out: Path, *more: str) -> Result:
    options = ["--train", str(photos), "--data", str(photos), "--steps", "4", "--out", str(out), *more]
    return CliRunner().invoke(app, ["distill", *options])


@pytest.mark.parametrize("init", ["projection", "density", "scratch", pytest.param("copy", marks=pytest.mark.slow)])
def test_one_student(
    photos: Path, teacher_file: Path, tmp_path: Path, init: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = prune.SparsifySettings(steps=4, batch_size=2, patch_size=16, learning_rate=0.01, lambda_=0.1)
    monkeypatch.setattr(prune, "default_settings", lambda family, seed: few)
    out = tmp_path / "student.safetensors"
    counts = ("--set", "num_feat=4", "--set", "num_block=1")
    result = distill(photos, out, "edsr", "--teacher", str(teacher_file), "--init", init, *counts)
    assert result.exit_code == 0, result.output
    assert load(out).config == EDSRConfig(2, 4, 1)
    about = json.loads(out.with_suffix(".json").read_text())
    assert about["provenance"]["init"] == init
    assert about["provenance"]["recipe"]["steps"] == 4
    assert "PSNR-Y" in result.stdout
    assert [step for step, _ in about["curve"]][:: len(about["curve"]) - 1] == [0, 4]
    assert "learning curve: " in result.stderr
    assert "Plotly" in out.with_suffix(".html").read_text(encoding="utf-8")


def test_numbers_of_the_training_can_be_set(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "student.safetensors"
    numbers = [
        f"--set={text}" for text in ("num_feat=4", "teacher_loss=charbonnier", "learning_rate=1e-4", "batch_size=2")
    ]
    result = distill(photos, out, "edsr", "--teacher", str(teacher_file), *numbers, "--set", "feature_weight=0.1")
    assert result.exit_code == 0, result.output
    used = json.loads(out.with_suffix(".json").read_text())["provenance"]["recipe"]
    assert (used["teacher_loss"], used["learning_rate"], used["batch_size"]) == ("charbonnier", 1e-4, 2)
    assert used["feature_weight"] == 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["edsr", "--set", "seed=3"], "seed is nothing that can be set here; these can: num_feat"),
        (["edsr", "--set", "num_feat=wide"], "num_feat is 'wide', but must be a whole number"),
        (["swinir", "--set", "num_block=2.5"], "num_block is 2.5, but must be a whole number"),
        (["edsr", "--set", "learning_rate=abc"], "learning_rate is 'abc', but must be a number"),
        (["edsr", "--set", "patch_size=1.5"], "patch_size is 1.5, but must be a whole number"),
        (["rdn"], "rdn is no file, no preset and no family; known: edsrmini, swinirmini, edsr, swinir"),
        (["edsr", "--data", "nowhere"], "nowhere"),
        (["edsr", "--val", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_distilled_is_named_first(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match=re.escape(message)):
        CliRunner().invoke(app, ["distill", *arguments, "--out", "a.safetensors"], catch_exceptions=False)
    assert not list(tmp_path.iterdir())


def test_the_papers_student_from_scratch_by_the_papers_recipe(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "edsrmini.safetensors"
    recipe = ("--recipe", "paper", "--init", "scratch", "--target", str(teacher_file), "--set", "batch_size=2")
    result = distill(photos, out, "edsrmini", *recipe)
    assert result.exit_code == 0, result.output
    assert load(out).config == EDSRConfig(2, 16, 8, res_scale=2.0)
    used = json.loads(out.with_suffix(".json").read_text())["provenance"]["recipe"]
    assert (used["teacher_loss"], used["learning_rate"], used["halve_at"]) == ("multilap", 1e-4, [1])


def test_a_target_of_another_family(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    """An EDSR student, shrunk from an EDSR, learns from a SwinIR."""
    out, target = tmp_path / "student.safetensors", tmp_path / "swinir.safetensors"
    checkpoints.save_tensors(target, SwinIR(SwinIRConfig(2, 6, (1,), (1,), 4)).state_dict())
    networks = ("--teacher", str(teacher_file), "--target", str(target), "--init", "copy", "--allow-weak-teacher")
    result = distill(photos, out, "edsr", *networks, "--set", "num_feat=4", "--set", "batch_size=2")
    assert result.exit_code == 0, result.output
    assert load(out).config == EDSRConfig(2, 4, 2)
    made = json.loads(out.with_suffix(".json").read_text())["provenance"]
    assert (made["teacher"], made["target"]) == (str(teacher_file), str(target))


def test_a_teacher_of_another_family_is_refused(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="the teacher is edsr, but the student swinirmini is swinir"):
        CliRunner().invoke(
            app,
            ["distill", "swinirmini", "--teacher", str(teacher_file), "--out", str(tmp_path / "a.safetensors")],
            catch_exceptions=False,
        )
