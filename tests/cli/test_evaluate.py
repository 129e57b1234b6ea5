"""The command evaluate: bicubic, teachers, students and files from elsewhere, on any images."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.command_line import Call
from helpers.images import write_waves
from helpers.network_files import golden
from PIL import Image

import autocompress
from autocompress.data.folders import open_folder
from autocompress.evaluation.metrics import psnr_y
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.teachers import load_teacher


@pytest.mark.parametrize(("scale", "psnr", "ssim"), [(2, 33.66, 0.9299), (3, 30.39, 0.8682), (4, 28.42, 0.8104)])
def test_evaluate_bicubic_on_set5(call: Call, shared: Path, scale: int, psnr: float, ssim: float) -> None:
    result = call("evaluate", "bicubic", "--data", shared / "data/benchmark/Set5", "--scale", scale, "--json")
    assert (result.code, result.err) == (0, "")
    content = json.loads(result.out)
    assert (content["model"], content["scale"]) == ("bicubic", scale)
    assert content["data"]["Set5"]["mean"]["psnr_y"] == pytest.approx(psnr, abs=0.02)
    assert content["data"]["Set5"]["mean"]["ssim_y"] == pytest.approx(ssim, abs=0.0015)
    assert sorted(content["data"]["Set5"]["images"]) == ["baby", "bird", "butterfly", "head", "woman"]


def test_evaluate_on_two_sets_in_one_call(call: Call, here: Path) -> None:
    for index, name in enumerate(("first", "second")):
        (here / name).mkdir()
        write_waves(here / name / f"{name}-image.png", 48, 40, seed=index)
    both = json.loads(call("evaluate", "bicubic", "--data", "first", "--data", "second", "--json").out)["data"]
    assert list(both) == ["first", "second"]
    for name, scores in both.items():
        alone = json.loads(call("evaluate", "bicubic", "--data", name, "--json").out)["data"]
        assert alone == {name: scores}
        assert scores["images"] == {f"{name}-image": scores["mean"]}
        assert scores["mean"].keys() == {"psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "psnr_y_edge"}
    table = call("evaluate", "bicubic", "--data", "first", "--data", "second").out
    assert "bicubic on 1 image of first, x2" in table
    assert "bicubic on 1 image of second, x2" in table


def evaluated(call: Call, network: SRNetwork, *model: object) -> dict[str, Any]:
    """What `evaluate --json` says of a model on one image, after a check that the score is this network's."""
    Path("one").mkdir(exist_ok=True)
    write_waves(Path("one/waves.png"), 48, 96, seed=3)
    result = call("evaluate", *model, "--data", "one", "--json")
    assert (result.code, result.err) == (0, "")
    content: dict[str, Any] = json.loads(result.out)
    pair = open_folder(Path("one"), network.scale, min_size=32).read(0)
    with torch.no_grad():
        sr = network(torch.from_numpy(pair.lr).permute(2, 0, 1)[None] / 255)[0].clamp(0, 1) * 255
    expected = psnr_y(sr.round().to(torch.uint8).permute(1, 2, 0).numpy(), pair.hr, border=network.scale)
    assert (content["model"], content["scale"]) == (str(model[0]), network.scale)
    assert content["data"]["one"]["mean"]["psnr_y"] == pytest.approx(expected, abs=1e-3)
    return content


@pytest.mark.parametrize("name", ["edsr-baseline-x2", "swinir-s-x2"])
def test_evaluate_a_shipped_teacher_by_name(call: Call, here: Path, name: str) -> None:
    evaluated(call, load_teacher(name), name)


def test_evaluate_a_student_and_its_export(call: Call, searched: Path) -> None:
    [file, *_] = sorted(searched.glob("trials/*/student.safetensors"))
    assert call("export", file, "--out", "models", "--format", "pth").code == 0
    [exported] = Path("models").glob("*.pth")
    student = autocompress.load(file)
    assert evaluated(call, student, file)["data"] == evaluated(call, student, exported)["data"]


@pytest.mark.parametrize(
    "name",
    [
        "edsr_x2_f16_b4",
        "edsr_pytorch_keys_x2_f16_b4",
        "edsr_x3_f8_b2",
        "swinir_x2_direct_d22_c24",
        "swinir_x4_pixelshuffle_d2_c12",
    ],
)
def test_evaluate_a_file_from_elsewhere(call: Call, here: Path, shared: Path, name: str) -> None:
    torch.save(golden(shared, name)["params"], "foreign.pth")
    network = autocompress.load("foreign.pth")
    assert f"_x{network.scale}_" in name
    evaluated(call, network, "foreign.pth")


def test_evaluate_with_residual_scaling(call: Call, here: Path) -> None:
    torch.manual_seed(0)
    torch.save(EDSR(EDSRConfig(2, 8, 2)).state_dict(), "plain.pth")
    scores = [
        evaluated(call, autocompress.load("plain.pth", res_scale=scaling), "plain.pth", "--res-scale", scaling)["data"]
        for scaling in (1, 0.1)
    ]
    assert scores[0] != scores[1]


def test_evaluate_shows_each_image_and_the_mean(call: Call, photos: Path, teacher_file: Path) -> None:
    result = call("evaluate", teacher_file, "--data", photos)
    assert (result.code, result.err) == (0, "")
    for part in ("waves0", "waves1", "waves2", "mean", "PSNR-Y", "SSIM-Y", "PSNR-RGB"):
        assert part in result.out


def test_evaluate_on_tiles_gives_the_same_scores(call: Call, photos: Path, teacher_file: Path) -> None:
    whole = call("evaluate", teacher_file, "--data", photos, "--json")
    tiled = call("evaluate", teacher_file, "--data", photos, "--json", "--tile", "32")
    assert (tiled.code, tiled.err) == (0, "")
    assert json.loads(tiled.out) == json.loads(whole.out)


def test_evaluate_keeps_folders_of_one_name_apart(call: Call, here: Path) -> None:
    for parent in ("a", "b"):
        (here / parent / "HR").mkdir(parents=True)
        write_waves(here / parent / "HR" / "x.png", 40, 40, seed=ord(parent))
    content = json.loads(call("evaluate", "bicubic", "--data", "a/HR", "--data", "b/HR", "--json").out)
    assert len(content["data"]) == 2
    scores = [data["mean"]["psnr_y"] for data in content["data"].values()]
    assert scores[0] != scores[1]


def test_evaluate_json_is_strict_where_psnr_is_infinite(call: Call, here: Path) -> None:
    Image.new("RGB", (40, 40), (7, 7, 7)).save(here / "grey.png")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content = json.loads(call("evaluate", "bicubic", "--data", ".", "--json").out, parse_constant=refuse)
    [data] = content["data"].values()
    assert data["mean"]["psnr_y"] is None
    assert data["mean"]["ssim_y"] == pytest.approx(1)
