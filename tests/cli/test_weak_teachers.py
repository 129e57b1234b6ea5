"""A teacher that upscales worse than bicubic teaches nothing: refused wherever something is learnt from it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.command_line import Call, assert_refused
from helpers.edsr_networks import tiny_edsr, weights
from PIL import Image
from torch import Tensor

import autocompress
from autocompress.data.folders import open_folder
from autocompress.evaluation.scores import warning_of_start
from autocompress.networks.versus_bicubic import versus_bicubic

COMMANDS = {
    "search": ("search", "--budget-flops", "400M", "--steps", "2", "--trials", "1", "--out", "made"),
    "distill": ("distill", "edsr", "--set", "num_feat=4", "--steps", "2", "--out", "made.safetensors"),
    "prune": ("prune", "--steps", "2", "--out", "made"),
}


def of_wrong_order(good: dict[str, Tensor]) -> dict[str, Tensor]:
    """As in a file of a network that takes BGR and gives RGB."""
    return good | {"conv_first.weight": good["conv_first.weight"].flip(1)}


def of_wrong_range(good: dict[str, Tensor]) -> dict[str, Tensor]:
    """As in a file of a network that takes 0 to 255 and gives 0 to 1."""
    return good | {name: good[name] / 255 for name in ("conv_last.weight", "conv_last.bias")}


WRONG = {"order": of_wrong_order, "range": of_wrong_range, "random": lambda good: good | weights(2, 8, 2)}


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize("wrong", WRONG)
def test_refused_before_anything_is_written(call: Call, here: Path, photos: Path, verb: str, wrong: str) -> None:
    torch.save(WRONG[wrong](tiny_edsr().state_dict()), "wrong.pth")
    teacher = ("wrong.pth",) if verb == "prune" else ("--teacher", "wrong.pth")
    refused = call(*COMMANDS[verb], *teacher, "--train", photos, "--val", photos, "--quiet")
    assert_refused(refused, "the teacher wrong.pth upscales worse than bicubic", "dB where bicubic has", "RGB")
    assert "--allow-weak-teacher" in refused.err
    assert [file.name for file in here.iterdir()] == ["wrong.pth"]


def test_outputs_that_are_no_numbers_are_called_so(call: Call, here: Path, photos: Path) -> None:
    """Finite weights, but so large that features are not."""
    torch.save({name: weight * 1e30 for name, weight in tiny_edsr().state_dict().items()}, "wrong.pth")
    refused = call(*COMMANDS["search"], "--teacher", "wrong.pth", "--train", photos, "--val", photos, "--quiet")
    assert_refused(refused, "it has outputs that are no finite numbers where bicubic has", "--allow-weak-teacher")
    assert "nan dB" not in refused.err


@pytest.mark.parametrize("verb", ["search", "distill", "teacher train"])
def test_a_weak_target(call: Call, here: Path, photos: Path, teacher_file: Path, verb: str) -> None:
    torch.save(weights(2, 8, 2), "wrong.pth")
    if verb == "teacher train":
        words: tuple[object, ...] = (*verb.split(), "edsr", "--set", "num_feat=4", "--steps", "2")
        words = (*words, "--patch-size", "16", "--out", "made.safetensors")
    else:
        words = (*COMMANDS[verb], "--teacher", teacher_file)
    images = ("--train", photos, "--val", photos, "-q")
    refused = call(*words, "--target", "wrong.pth", *images)
    assert_refused(refused, "the target wrong.pth upscales worse than bicubic", "--allow-weak-teacher")
    assert [file.name for file in here.iterdir()] == ["wrong.pth"]
    if verb == "teacher train":
        ended = call(*words, "--target", "wrong.pth", *images, "--allow-weak-teacher")
        assert ended.code == 0, ended.err


def test_it_goes_on_where_that_is_allowed(call: Call, here: Path, photos: Path) -> None:
    torch.save(weights(2, 8, 2), "wrong.pth")
    images = ("--train", photos, "--val", photos, "--data", photos)
    command = (*COMMANDS["distill"], "--teacher", "wrong.pth", *images, "-q", "--allow-weak-teacher")
    ended = call(*command)
    assert ended.code == 0, ended.err
    assert autocompress.load("made.safetensors").scale == 2


def test_evaluate_shows_bicubic_beside(call: Call, photos: Path, teacher_file: Path) -> None:
    ended = call("evaluate", teacher_file, "--data", photos, "-q")
    assert any(line.startswith("│ bicubic") for line in ended.out.splitlines())
    data = json.loads(call("evaluate", teacher_file, "--data", photos, "--json", "-q").out)["data"]
    alone = json.loads(call("evaluate", "bicubic", "--data", photos, "--json", "-q").out)["data"]
    assert data[photos.name]["bicubic"] == alone[photos.name]["mean"]
    assert "bicubic" not in alone[photos.name]


@pytest.mark.parametrize("flat", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_images_with_a_middle_of_one_colour_refuse_no_good_teacher(
    call: Call, here: Path, photos: Path, teacher_file: Path, flat: int
) -> None:
    """Such as products before a white ground: bicubic makes no error at all there, and a network some of rounding."""
    Path("own").mkdir()
    for number, file in enumerate(sorted(photos.iterdir())):
        with Image.open(file) as photograph:
            image = photograph.resize((400, 400))
        if number < flat:
            image.paste((255, 255, 255), (100, 100, 300, 300))
        image.save(Path("own") / file.name)
    words = (*COMMANDS["distill"], "--train", photos, "--val", "own", "--data", photos, "-q", "--teacher")
    ended = call(*words, teacher_file)
    assert ended.code == 0, ended.err
    torch.save(weights(2, 8, 2), "wrong.pth")
    Path("made.safetensors").unlink()
    assert_refused(call(*words, "wrong.pth"), "the teacher wrong.pth upscales worse than bicubic")


def test_small_images_and_outputs_that_are_no_numbers(photos: Path) -> None:
    pair = open_folder(photos, 2, min_size=32).read(0)
    network = tiny_edsr()
    assert not versus_bicubic(network, [pair]).weak
    with torch.no_grad():
        network.conv_last.bias.fill_(torch.nan)
    assert versus_bicubic(network, [pair]).weak


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e400"])
@pytest.mark.parametrize(
    "command",
    [
        "search --budget-flops 20G --res-scale",
        "search --budget-flops 20G --backend ray --gpus-per-trial",
        "search --budget-flops 20G --teacher t --code c.py:C --input-range",
        "search --budget-flops",
        "search --budget-flops 20G --timeout",
        "search --budget-flops 20G --trials",
        "distill edsr --out a.safetensors --res-scale",
        "prune edsr-baseline-x2 --learning-rate",
        "evaluate own.pth --res-scale",
        "teacher show own.pth --res-scale",
        "teacher train edsr --out a.safetensors --learning-rate",
        "teacher train edsr --out a.safetensors --teacher-share",
    ],
)
def test_a_number_that_is_none_is_refused_by_every_option(call: Call, here: Path, command: str, number: str) -> None:
    torch.save(tiny_edsr().state_dict(), "own.pth")
    ended = call(*command.split(), number)
    assert_refused(ended)
    assert [file.name for file in here.iterdir()] == ["own.pth"]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_start_that_is_worse_than_bicubic_is_said(photos: Path, wrong: str) -> None:
    """Training can mend it, but most often it is not what its user takes it for."""
    source, network = open_folder(photos, 2, min_size=32), tiny_edsr()
    assert warning_of_start("the start a.pth", network, source) is None
    network.load_state_dict(WRONG[wrong](network.state_dict()))
    said = warning_of_start("the start a.pth", network, source)
    assert said is not None
    assert said.startswith("warning: the start a.pth upscales worse than bicubic: in the middle of ")
    assert warning_of_start("the start a.pth", network, replace(source, lr_alone=True)) is None


@pytest.mark.slow
def test_such_a_start_is_trained_all_the_same(call: Call, here: Path, photos: Path) -> None:
    torch.save(weights(2, 8, 2), "wrong.pth")
    words = ("teacher", "train", "edsr", "--steps", "2", "--patch-size", "16", "--train", photos, "--val", photos)
    ended = call(*words, "--start", "wrong.pth", "--out", "made.safetensors")
    assert ended.code == 0, ended.err
    assert "warning: the start wrong.pth upscales worse than bicubic" in ended.err
