"""Training a network from scratch: resumable, and refused where it is another training."""

import dataclasses
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from helpers.own_network import write_own_network
from PIL import Image
from typer.testing import CliRunner

from autocompress import load, prune
from autocompress.cli import app
from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.folders import open_folder
from autocompress.data.patches import PatchSampler
from autocompress.distill import checkpointed_training
from autocompress.distill.checkpointed_training import Pace, precision_to_go_on
from autocompress.distill.distillation import TrainingTask, open_training_images, state_file, train_to_file
from autocompress.distill.learning_curve import Points
from autocompress.distill.recipe import Recipe, paper_recipe
from autocompress.distill.training import Training
from autocompress.errors import CheckpointError, ConfigError, DataError, InvalidInput, RunError
from autocompress.evaluation.scores import bicubic_upscaler, check_finite, evaluate, network_upscaler, pairs
from autocompress.io import checkpoints
from autocompress.networks import parse_config
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.loading import know_code
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig
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


@pytest.mark.parametrize("network", [EDSR(EDSRConfig(2, 4, 1)), SwinIR(SwinIRConfig(2, 4, (1,), (1,), 4))])
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # the compiler's own
@pytest.mark.parametrize("faster", [True, False])
def test_compiling_is_kept_only_where_it_is_faster(network: SRNetwork, faster: bool, photos: Path) -> None:
    training, runs = a_training(network, photos), []

    def backend(graph: torch.fx.GraphModule, _inputs: object) -> Callable[..., Any]:
        def run(*inputs: Any) -> Any:
            runs.append(training.step)
            return graph.forward(*inputs)

        return run

    clock = iter([0.0, 2.0, 2.0, 3.0] if faster else [0.0, 1.0, 1.0, 3.0])
    checkpointed_training.compile_if_faster(training, quiet, quiet, backend, lambda: next(clock))
    assert runs
    runs.clear()
    training.run_to(training.step + 2)
    assert bool(runs) == faster


def test_a_compiler_that_fails_is_done_without(photos: Path) -> None:
    training = a_training(EDSR(EDSRConfig(2, 4, 1)), photos)

    def fail(*_: object) -> Callable[..., Any]:
        raise OSError("no compiler")

    said: list[str] = []
    checkpointed_training.compile_if_faster(training, quiet, said.append, fail)
    (line,) = said
    assert line.startswith("torch.compile failed, so the training goes on without it (")
    assert "no compiler" in line
    assert "\n" not in line
    before = training.step
    training.run_to(before + 1)
    assert training.step == before + 1


def a_training(network: SRNetwork, photos: Path) -> Training:
    bank = PixelBank.open(open_folder(photos, 2, min_size=32))
    recipe = Recipe(steps=100, batch_size=1, patch_size=16, teacher_share=0.0)
    return Training(network, PatchSampler(bank, patch_size=16, batch_size=1, seed=0), recipe, Precision())


def distill(photos: Path, out: Path, *more: str) -> Result:
    options = ["--train", str(photos), "--data", str(photos), "--steps", "4", "--out", str(out), *more]
    return CliRunner().invoke(app, ["distill", *options])


@pytest.mark.parametrize("init", ["projection", "density", "copy", "scratch"])
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
        (["edsr", "--set", "learning_rate=abc"], "--set learning_rate=abc: not all of these are numbers"),
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


def test_the_papers_student_from_scratch_by_the_papers_recipe(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "edsrmini.safetensors"
    recipe = ("--recipe", "paper", "--init", "scratch", "--target", "edsr-baseline-x2")
    result = distill(photos, out, "edsrmini", *recipe)
    assert result.exit_code == 0, result.output
    assert load(out).config == EDSRConfig(2, 16, 8, res_scale=2.0)
    used = json.loads(out.with_suffix(".json").read_text())["provenance"]["recipe"]
    assert (used["teacher_loss"], used["learning_rate"], used["halve_at"]) == ("multilap", 1e-4, [1])


def test_a_target_of_another_family(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    """A SwinIR student, shrunk from a SwinIR, learns from an EDSR."""
    out, teacher = tmp_path / "student.safetensors", tmp_path / "swinir.safetensors"
    network = SwinIR(SwinIRConfig(2, 12, (2, 2), (2, 2), 4))
    checkpoints.save_tensors(teacher, network.state_dict())
    counts = ("--set", "embed_dim=6", "--set", "depth=1")
    result = distill(
        photos,
        out,
        "swinir",
        "--teacher",
        str(teacher),
        "--target",
        str(teacher_file),
        "--init",
        "copy",
        "--allow-weak-teacher",
        *counts,
    )
    assert result.exit_code == 0, result.output
    assert load(out).config == SwinIRConfig(2, 6, (1, 1), (2, 2), 4)


def test_a_teacher_of_another_family_is_refused(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="the teacher is edsr, but the student swinirmini is swinir"):
        CliRunner().invoke(
            app,
            ["distill", "swinirmini", "--teacher", str(teacher_file), "--out", str(tmp_path / "a.safetensors")],
            catch_exceptions=False,
        )


def test_the_papers_learning_rate_halves() -> None:
    recipe = paper_recipe("swinir")
    rates = [recipe.learning_rate_at(step) for step in (0, 249_999, 250_000, 400_000, 799_999)]
    assert rates == [1e-4, 1e-4, 5e-5, 2.5e-5, 1.25e-5]
