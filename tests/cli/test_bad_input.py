"""Bad input: one clear line for each, exit code 2, and nothing left behind."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.command_line import Call, assert_refused
from helpers.images import write_waves
from helpers.network_files import CodeRunningPickle
from helpers.small_search import SPACE
from PIL import Image

import autocompress
from autocompress.io.checkpoints import save_pth
from autocompress.networks.compact.network import Compact, CompactConfig


def prepare(folder: Path) -> None:
    """All that the bad inputs below need."""
    (folder / "empty").mkdir()
    (folder / "notes").mkdir()
    (folder / "notes" / "config.json").write_text('{"model_type": "bert"}')
    (folder / "listed").mkdir()
    (folder / "listed" / "config.json").write_text("[1]")
    (folder / "file").write_text("a file")
    (folder / "typo.yaml").write_text(SPACE.replace("num_block", "num_blok"))
    (folder / "no.yaml").write_text("family: [edsr\n")
    (folder / "list.yaml").write_text("- edsr\n")
    with (folder / "bomb.pth").open("wb") as file:
        pickle.dump({"params": CodeRunningPickle(folder / "ran")}, file)
    torch.save({"params": CodeRunningPickle(folder / "ran")}, folder / "bomb.pt")
    torch.save({"params": {"layer.weight": torch.ones(3)}}, folder / "other.pth")
    save_pth(folder / "compact.pth", Compact(CompactConfig(scale=2, num_feat=4, num_conv=1)).state_dict())
    (folder / "program.pt2").touch()
    (folder / "small").mkdir()
    Image.new("RGB", (20, 20)).save(folder / "small" / "stamp.png")
    (folder / "broken").mkdir()
    write_waves(folder / "broken" / "half.png", 96, 96, seed=0)
    whole = (folder / "broken" / "half.png").read_bytes()
    (folder / "broken" / "half.png").write_bytes(whole[: len(whole) // 2])


SEARCH = "search --budget-flops 20G"

BAD_INPUT = {
    "search": ("no budget is given", "--budget-flops 20G"),
    "search --budget-flops 1G": ("smallest (num_feat 8, num_block 1) has 1.178G FLOPs", "within 1G FLOPs", "edsr"),
    "search --budget-params 10": ("smallest (num_feat 8, num_block 1)", "4.531K parameters"),
    "search --budget-flops -5G": ("--budget-flops: '-5G' is no amount",),
    "search --budget-flops 0": ("--budget-flops: '0' is no amount",),
    "search --budget-flops plenty": ("--budget-flops: 'plenty' is no amount", "such as 20G"),
    "search --budget-flops 1e999": ("--budget-flops: '1e999' is no amount",),
    "search --budget-params 5X": ("--budget-params: '5X' is no amount",),
    f"{SEARCH} --timeout soon": ("--timeout: 'soon' is no duration", "such as 90s or 10m"),
    f"{SEARCH} --teacher nobody": ("nobody: no such file, and no shipped network", "edsr-baseline-x2"),
    f"{SEARCH} --teacher bomb.pth": ("bomb.pth: no file of torch.save", "could run code", "refused"),
    f"{SEARCH} --teacher bomb.pt": ("bomb.pt: holds more than tensors", "could run code", "refused"),
    f"{SEARCH} --teacher other.pth": ("other.pth: 1 tensors (layer.weight", "none of the families edsr"),
    f"{SEARCH} --teacher file": ("file: a text, but a file of weights is needed",),
    f"{SEARCH} --teacher small": ("small: a folder, but a file of weights is needed", "student.safetensors in it"),
    f"{SEARCH} --space small": ("small: a folder, and no shipped search space", "edsr"),
    f"{SEARCH} --space nowhere": ("nowhere: no such file, and no shipped search space", "edsr"),
    f"{SEARCH} --space typo.yaml": ("typo.yaml: parameters.num_blok is nothing", "did you mean num_block?"),
    f"{SEARCH} --space no.yaml": ("no.yaml: not readable as YAML",),
    f"{SEARCH} --space list.yaml": ("list.yaml: must be a mapping",),
    f"{SEARCH} --teacher edsr-x2-3g": ("this teacher has a folded tail", "or --init scratch"),
    f"{SEARCH} --scale 3": ("scale 3 was asked for", "upscales by 2"),
    f"{SEARCH} --train empty": ("empty: no images in it",),
    f"{SEARCH} --train missing": ("missing: no such folder",),
    f"{SEARCH} --train file": ("file: not a folder",),
    f"{SEARCH} --train small": ("stamp.png: 20x20 pixels, but both sides must be at least",),
    f"{SEARCH} --train broken": ("1 image is too few to hold some out",),
    f"{SEARCH} --val broken": ("give --train DIR too",),
    f"{SEARCH} --trials 0": ("trials is 0, but must be >= 1",),
    f"{SEARCH} --steps -1": ("steps is -1, but must be >= 1",),
    f"{SEARCH} --seed -1": ("seed is -1, but must be",),
    f"{SEARCH} --init magic": ("init is 'magic', but must be one of projection, density, copy, taylor, scratch",),
    f"{SEARCH} --out file": ("file: cannot be written to",),
    f"{SEARCH} --out file/below": ("file/below: cannot be written to",),
    f"{SEARCH} --out /proc/run": ("/proc/run: cannot be written to",),
    f"{SEARCH} --out notes/": ("notes",),
    f"{SEARCH} --out broken": ("broken: not empty, and no run of autocompress",),
    "pareto missing": ("missing: no such folder", "autocompress search"),
    "pareto empty": ("empty: has no config.json, so it is no run",),
    "pareto notes": ("notes", "no run of autocompress search"),
    "pareto listed --json": ("listed", "no run of autocompress search"),
    "report empty": ("empty: has no config.json, so it is no run",),
    "report file": ("file: a file, but a run is a folder", "autocompress search"),
    "distill edsr --set num_feat=8 --teacher edsr-x2-3g --out s.safetensors": ("this teacher has a folded tail",),
    "distill edsrmini --out .": (".: a network is written as safetensors", "such as student.safetensors"),
    "export missing --out there": ("missing: no such folder or file", "a student's file, or one of edsr-baseline-x2,"),
    "export bomb.pth --out there": ("could run code",),
    "evaluate bicubic --data missing": ("missing: no such folder",),
    "evaluate bicubic --data broken": ("half.png: cannot be read as an image",),
    "evaluate bicubic --data broken --skip-bad-images": ("broken: none of its images can be used", "half.png"),
    "evaluate bicubic --scale 5": ("--scale is 5, but must be 2, 3 or 4",),
    "evaluate bicubic --scale 0": ("--scale is 0, but must be 2, 3 or 4",),
    "evaluate nobody": ("nobody: no such file, and no shipped network",),
    "evaluate edsr-baseline-x2 --scale 4": ("--scale is 4, but edsr-baseline-x2 upscales by 2",),
    "evaluate edsr-baseline-x2 --tile 31": ("tile is 31, but must be at least 32 LR pixels",),
    "evaluate edsr-baseline-x2 --tile -5": ("tile is -5, but must be at least 32 LR pixels",),
    "evaluate bicubic --tile 64": ("--tile is for networks", "leave --tile out"),
    "teacher show nobody": ("nobody: no such file, and no shipped network",),
    "spaces show nowhere": ("nowhere: no such file, and no shipped search space",),
    "spaces check typo.yaml": ("typo.yaml: parameters.num_blok", "did you mean num_block?"),
    "spaces show bomb.pth": ("bomb.pth: not readable as YAML",),
}


EMPTY: dict[tuple[str, ...], str] = {
    ("pareto", ""): "what follows pareto is empty",
    ("",): "the first argument is empty",
    ("upscale", "edsr-x2-10g", "", "out.png"): "what follows edsr-x2-10g is empty",
    ("evaluate", "bicubic", "--data", ""): "what follows --data is empty",
    ("export", "edsr-x2-10g", "--out="): "--out is empty",
    ("search", "--budget-flops", ""): "what follows --budget-flops is empty",
}


@pytest.mark.parametrize("words", EMPTY)
def test_nothing_may_be_empty(call: Call, here: Path, words: tuple[str, ...]) -> None:
    """An empty path would be the folder where the command runs, which is written to and read from."""
    assert_refused(call(*words), EMPTY[words], "a variable of the shell that is not set is empty")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("command", BAD_INPUT)
def test_bad_input_gets_one_line_and_code_2(call: Call, here: Path, command: str) -> None:
    prepare(here)
    before = sorted(here.rglob("*"))
    result = call(*command.split())
    assert_refused(result, *BAD_INPUT[command])
    assert sorted(here.rglob("*")) == before


def test_bad_input_shows_no_traceback_in_a_process_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from autocompress.cli import main; main()", "search", "--budget-flops", "20X"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: --budget-flops: '20X' is no amount; ")
    assert ended.stderr.count("\n") == 1


def test_a_failure_while_running_is_code_1(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise autocompress.errors.TrainingDiverged("the loss is nan")

    monkeypatch.setattr("autocompress.networks.teachers.load_teacher", fail)
    result = call("teacher", "show", "edsr-baseline-x2")
    assert (result.code, result.err) == (1, "error: the loss is nan\n")
