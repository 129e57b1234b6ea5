"""`models list` and `models show`, and the names of shipped students in the other commands."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import Call, assert_refused
from helpers.images import write_waves
from PIL import Image

import autocompress
from autocompress import api
from autocompress.io import package_files
from autocompress.io.package_files import DEFAULT_MODEL

NAME = "edsr-x2-1g"


@pytest.fixture(autouse=True)
def photo(here: Path) -> Path:
    write_waves(here / "photo.png", 40, 60, seed=0)
    return here / "photo.png"


def test_list(call: Call) -> None:
    ended = call("models", "list")
    assert ended.code == 0
    for name in package_files.models():
        assert name in ended.out
    for part in (f"{DEFAULT_MODEL} *", "2.859G", "12.56K", "37.26", "basicsr.archs.edsr_arch.EDSR", "McMaster"):
        assert part in ended.out


def test_show(call: Call) -> None:
    about = json.loads(call("models", "show", "edsrmini-x2").out)
    assert (about["name"], about["official_code"]) == ("edsrmini-x2", "basicsr.archs.edsr_arch.EDSR")
    assert about["provenance"]["command"].startswith("autocompress distill edsrmini --target ")
    assert_refused(call("models", "show", "nobody"), "nobody is no model that ships", *package_files.models())
    shown = json.loads(call("teacher", "show", "edsrmini-x2").out)
    assert shown["metrics"] == about["metrics"]


def upscaled(network: str, photo: Path) -> np.ndarray:
    return np.asarray(autocompress.load(network).upscale(np.asarray(Image.open(photo).convert("RGB"))))


def test_upscale_without_a_network_takes_the_default_and_says_so(call: Call, photo: Path) -> None:
    ended = call("upscale", "photo.png", "out.png")
    assert (ended.code, ended.out) == (0, "out.png\n")
    assert f"by {DEFAULT_MODEL}, which ships with autocompress" in ended.err
    assert np.array_equal(np.asarray(Image.open("out.png").convert("RGB")), upscaled(DEFAULT_MODEL, photo))
    api.upscale(None, "photo.png", "python.png", progress=False)
    assert Path("python.png").read_bytes() == Path("out.png").read_bytes()


def test_upscale_by_a_name(call: Call, photo: Path) -> None:
    ended = call("upscale", NAME, "photo.png", "out.png")
    assert (ended.code, ended.out) == (0, "out.png\n")
    assert DEFAULT_MODEL not in ended.err
    assert np.array_equal(np.asarray(Image.open("out.png").convert("RGB")), upscaled(NAME, photo))


def test_upscale_with_an_argument_too_few(call: Call) -> None:
    assert_refused(call("upscale", NAME, "photo.png"), f"{NAME} is a network", "add the file to write")
    assert_refused(call("upscale", "photo.png"), "missing argument 'IN'")
    assert_refused(call("upscale"), "missing argument 'IN'")
    assert "[OPTIONS] [MODEL] {IN} {OUT}" in " ".join(call("upscale", "--help").out.split())


def test_a_file_of_the_same_name_is_refused(call: Call) -> None:
    Path(NAME).write_text("not a network")
    for command in (("upscale", NAME, "photo.png", "out.png"), ("evaluate", NAME), ("export", NAME, "--out", "there")):
        assert_refused(call(*command), f"{NAME}: both a network that ships", f"write ./{NAME} for that")
    assert_refused(call("upscale", f"./{NAME}", "photo.png", "out.png"), f"{NAME}: a text, but a file of weights")


def test_export_by_a_name(call: Call) -> None:
    ended = call("export", "edsrmini-x2", "--out", "models", "--format", "safetensors", "--format", "pth")
    assert ended.out.split() == ["models/edsrmini-x2.safetensors", "models/edsrmini-x2.pth"]
    card = Path("models/edsrmini-x2.md").read_text()
    for part in ("license: apache-2.0", "SMFANet+", "BSDS500 was released for research", "| Set5 | 37.53 |"):
        assert part in card
    assert autocompress.load("models/edsrmini-x2.pth").config == autocompress.load("edsrmini-x2").config
    assert call("export", "edsrmini-x2", "--out", "edsrmini-x2").code == 0
    assert call("export", "edsrmini-x2", "--out", "again").code == 0  # that folder is no run
    refused = call("export", "edsrmini-x2", "--out", "models", "--trial", "1")
    assert_refused(refused, "--trial is for a run folder, and edsrmini-x2 is a network that ships; leave --trial out")


@pytest.mark.slow
def test_as_teacher_and_target(call: Call) -> None:
    Path("train").mkdir()
    for index in range(2):
        write_waves(Path(f"train/{index}.png"), 128, 128, seed=index)
    images = ["--train", "train", "--val", "train", "--data", "train"]
    words = ["--steps", "2", "--set", "num_feat=4", "--set", "num_block=1", "--set", "batch_size=2", "--init", "copy"]
    words += ["--allow-weak-teacher", *images]
    ended = call("distill", "edsr", "--teacher", "edsrmini-x2", "--target", NAME, *words, "--out", "a.safetensors")
    assert ended.code == 0, ended.err
    provenance = json.loads(Path("a.json").read_text())["provenance"]
    assert (provenance["teacher"], provenance["target"]) == ("edsrmini-x2", NAME)
    assert call("export", "a.safetensors", "--out", "there").code == 0
    card = Path("there/a.md").read_text()
    assert "license: apache-2.0" in card
    assert "- edsr-x2-1g: weights Apache-2.0" in card
