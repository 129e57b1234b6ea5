"""Folders as people have them: LR images are read where they lie, made where there are none, and never guessed."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import Call, assert_refused
from helpers.images import write_image, write_waves
from numpy.typing import NDArray

from autocompress.data.folders import open_folder
from autocompress.errors import DataError


def flat(height: int, width: int, level: int = 100) -> NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


def put(path: Path, height: int, width: int, level: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, flat(height, width, level))
    return path


READ = [
    # DIV2K, Flickr2K and EDSR-PyTorch
    ("DIV2K_train_HR/0001", "DIV2K_train_LR_bicubic/X2/0001x2"),
    ("DIV2K_train_HR/0001", "DIV2K_train_LR_unknown/X2/0001x2"),
    ("DIV2K_train_HR/0001", "DIV2K_train_LR_bicubic_X2/0001x2"),
    ("DIV2K_train_HR/0001", "DIV2K_train_LR_mild/0001x2"),
    ("benchmark/Set5/HR/baby", "benchmark/Set5/LR_bicubic/X2/babyx2"),
    ("Set5/HR/baby", "Set5/LR_bicubic/x2/baby"),
    ("Set5/HR/baby", "Set5/LR_bicubic/2/baby"),
    ("Set5/HR/baby", "Set5/LR_bicubic/baby"),
    ("Set5/HR/baby", "Set5/LR/babyx2"),
    ("Set5/HR/baby", "Set5/LR/X2/baby"),
    ("Set5/HR/baby", "Set5/LR_x2/baby_x2"),
    ("set5/hr/baby", "set5/lr/baby"),
    # BasicSR
    ("Set5/GTmod12/baby", "Set5/LRbicx2/baby"),
    ("DIV2K_train_HR_sub/0001_s001", "DIV2K_train_LR_bicubic/X2_sub/0001_s001"),
    ("datasets/GT/0001", "datasets/LQ/0001"),
    ("datasets/gt/0001", "datasets/lq/0001"),
    ("train_GT/0001", "train_LQ/0001"),
    # Real-ESRGAN
    ("DF2K/DF2K_HR_sub/0001_s001", "DF2K/DF2K_LR_bicubic_X2_sub/0001_s001"),
    # by words in names
    ("Set14/HR/img_001_SRF_2_HR", "Set14/LR/img_001_SRF_2_LR"),
    # LR images within the folder of HR images
    ("mine/0001", "mine/LR/0001"),
    ("mine/0001", "mine/LRbicx2/0001"),
]


@pytest.mark.parametrize(("hr", "lr"), READ)
def test_lr_is_read_where_it_lies(tmp_path: Path, hr: str, lr: str) -> None:
    hr_file, lr_file = put(tmp_path / f"{hr}.png", 48, 64), put(tmp_path / f"{lr}.png", 24, 32)
    source = open_folder(hr_file.parent, 2, min_size=8)
    assert [file.lr for file in source.files] == [lr_file]
    assert source.lr_said == f"LR read from {lr_file.parent}"
    assert open_folder(hr_file.parent, 2, min_size=8, lr=["bicubic"]).lr_said == "LR made by bicubic"


MADE = [
    ("photos/a", None),
    ("DIV2K_train_HR/0001", None),
    ("DIV2K_train_HR/0001", "DIV2K_train_LR_bicubic/X4/0001x4"),
    ("DIV2K_train_HR/0001", "DIV2K_valid_LR_bicubic/X2/0001x2"),
    ("DIV2K_train_HR/0001", "DIV2K_train_LR_bicubic/X2_sub/0001"),
    ("Set5/GTmod12/baby", "Set5/LRbicx4/baby"),
    ("photos/a", "LR/a"),
]


@pytest.mark.parametrize(("hr", "other"), MADE)
def test_lr_is_made_where_there_is_none_of_it(tmp_path: Path, hr: str, other: str | None) -> None:
    folder = put(tmp_path / f"{hr}.png", 48, 64).parent
    if other is not None:
        put(tmp_path / f"{other}.png", 12, 16)
    assert open_folder(folder, 2, min_size=8).lr_said == "LR made by bicubic"


def test_bicubic_is_taken_before_other_degradations(tmp_path: Path) -> None:
    put(tmp_path / "DIV2K_train_HR/0001.png", 48, 64)
    wanted = put(tmp_path / "DIV2K_train_LR_bicubic/X2/0001x2.png", 24, 32)
    put(tmp_path / "DIV2K_train_LR_unknown/X2/0001x2.png", 24, 32)
    assert open_folder(tmp_path, 2, min_size=8).files[0].lr == wanted


AMBIGUOUS = [
    (["HR/a 48", "LR/a 24", "LQ/a 24"], "may be in .*LQ or .*LR; give one as --lr DIR"),
    (["HR/a 48", "LR_bicubic/X2/a 24", "LR_bicubic/x2/a 24"], "may be in .*X2 or .*x2; give one as --lr DIR"),
    (["HR/a 48", "LR/X2/a 24", "LR/X2/ax2 24"], "a.png: its LR file may be .*a.png or .*ax2.png; leave one"),
    (["HR/a 48", "b 48"], "holds images, and HR; give"),
    (["a_HR 48", "a_LR 24"], "holds a_HR and a_LR, so HR images and LR images"),
    (["baby 48", "babyx2 24"], "holds baby and babyx2, so HR images and LR images"),
    (["HR/a 48", "LR/a 12"], "12x12 pixels, but a.png at scale 2 needs 24x24; give the folder of the right"),
    (["HR/a 48", "LR/b 24"], r"its LR file ax2.png \(or a.png\) is missing"),
    (["HR/a 48", "GT/a 48"], "holds GT and HR; give one"),
]


@pytest.mark.parametrize(("files", "message"), AMBIGUOUS)
def test_what_could_be_meant_in_two_ways_is_refused(tmp_path: Path, files: list[str], message: str) -> None:
    for file in files:
        name, side = file.split()
        put(tmp_path / f"{name}.png", int(side), int(side))
    with pytest.raises(DataError, match=message):
        open_folder(tmp_path, 2, min_size=8)


def test_lr_may_be_named(tmp_path: Path) -> None:
    put(tmp_path / "photos/a.png", 48, 64)
    put(tmp_path / "photos/b.png", 48, 64)
    first, second = put(tmp_path / "one/X2/a.png", 24, 32), put(tmp_path / "two/bx2.png", 24, 32)
    source = open_folder(tmp_path / "photos", 2, min_size=8, lr=[tmp_path / "one", tmp_path / "two"])
    assert [file.lr for file in source.files] == [first, second]
    twice = open_folder(tmp_path / "photos", 2, min_size=8, lr=[tmp_path / "one", tmp_path / "two", tmp_path / "one"])
    assert twice.files == source.files
    with pytest.raises(DataError, match="none: no such folder"):
        open_folder(tmp_path / "photos", 2, min_size=8, lr=[tmp_path / "none"])


def test_pairs_of_different_pictures_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "HR/a.png", 96, 96, 30)
    put(tmp_path / "LR/a.png", 48, 48, 90)
    with pytest.raises(DataError, match=r"LR/a\.png: seems to be of another picture than .*HR/a\.png \(60 of 255"):
        open_folder(tmp_path, 2, min_size=8).read(0)


def test_it_is_printed_and_recorded(call: Call, here: Path, search_words: list[object]) -> None:
    for seed in range(3):
        write_waves(_made(here / f"set/HR/w{seed}.png"), 96, 96, seed=seed)
        write_waves(_made(here / f"set/LR/w{seed}.png"), 48, 48, seed=seed)
    words = [*search_words, "--train", "set", "--lr", "bicubic", "--out", "run"]
    ended = call(*words)
    assert ended.code == 0, ended.err
    assert "LR images   LR made by bicubic" in ended.err
    assert json.loads((here / "run/config.json").read_text())["train"]["lr"] == "LR made by bicubic"
    shown = call("evaluate", "bicubic", "--scale", "2", "--data", "set/HR", "--json")
    assert json.loads(shown.out)["data"]["HR"]["lr"] == f"LR read from {here / 'set/LR'}"
    write_waves(here / "set/HR/w9.png", 96, 96, seed=9)
    (here / "set/HR/w1.png").unlink()
    refused = call(*words)
    assert_refused(refused, "train: w9 added; w1 gone")


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
