"""Pipes and devices in the place of files: each verb says what they are, in one line, and waits for nothing."""

import os
from pathlib import Path

import pytest
from helpers.command_line import Call, assert_refused

FILES = [
    ["upscale", "IT", "photo.png", "out.png"],
    ["upscale", "IT", "out.png"],
    ["upscale", "photo.png", "IT", "--overwrite"],
    ["evaluate", "IT"],
    ["export", "IT", "--out", "out"],
    ["teacher", "show", "IT"],
    ["teacher", "train", "edsr", "--start", "IT", "--out", "out.safetensors"],
    ["distill", "IT", "--out", "out.safetensors"],
    ["distill", "edsrmini", "--teacher", "IT", "--out", "out.safetensors"],
    ["distill", "edsrmini", "--target", "IT", "--out", "out.safetensors"],
    ["prune", "IT", "--out", "out"],
    ["search", "--budget-flops", "20G", "--teacher", "IT"],
    ["search", "--budget-flops", "20G", "--target", "IT"],
    ["search", "--budget-flops", "20G", "--space", "IT"],
    ["search", "--budget-flops", "20G", "--teacher", "edsr-baseline-x2", "--code", "IT:Network"],
    ["search", "--join", "IT"],
    ["spaces", "show", "IT"],
    ["spaces", "check", "IT"],
    *([verb, "IT"] for verb in ("refine", "pareto", "status", "report", "dashboard")),
    ["compare", "IT", "IT"],
    ["compare", "run", "run", "--out", "IT"],
]


@pytest.mark.parametrize("name", ["pipe", "pipe.png", "/dev/null"])
@pytest.mark.parametrize("words", FILES, ids=" ".join)
def test_it_is_no_regular_file(call: Call, here: Path, words: list[str], name: str, photos: Path) -> None:
    if words == ["upscale", "photo.png", "IT", "--overwrite"] and name != "pipe.png":
        pytest.skip("a picture's format is that of its name's ending")
    if not name.startswith("/"):
        os.mkfifo(name)
    Path("photo.png").write_bytes(next(photos.glob("*.png")).read_bytes())
    given = [word.replace("IT", name) if word.startswith("IT") else word for word in words]
    ended = call(*given)
    ended = ended._replace(err="\n".join(line for line in ended.err.splitlines() if "which ships with" not in line))
    assert_refused(ended, name, "no regular file")
    assert sorted(path.name for path in here.iterdir()) == sorted({"photo.png"} | ({name} - {"/dev/null"}))


@pytest.mark.parametrize("words", [["--train", "IT"], ["--train", "photos", "--val", "IT"], ["--lr", "IT"]])
def test_folders_of_images_are_folders(call: Call, here: Path, words: list[str]) -> None:
    os.mkfifo("pipe")
    Path("photos").mkdir()
    ended = call("search", "--budget-flops", "20G", *(word.replace("IT", "pipe") for word in words))
    assert_refused(ended, "pipe: not a folder")
