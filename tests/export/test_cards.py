"""Model cards: their code works, they tell where a network comes from, and their numbers are those of the file."""

import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.edsr_networks import edsr
from helpers.export_command import front_matter, invoke
from helpers.images import write_waves
from helpers.swinir_networks import random_swinir
from PIL import Image

from autocompress.export.card import card
from autocompress.export.files import export_file, export_formats
from autocompress.export.formats import Format, Wanted
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig
from autocompress.networks.teachers import shipped
from autocompress.search import RunFolder, Settings
from autocompress.search.results.export import file_names
from autocompress.search.results.rows import front_rows, pick


def snippets(card: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", card, re.DOTALL)


@pytest.mark.parametrize(
    "network",
    [
        edsr(EDSRConfig(3, 5, 2, res_scale=0.3)),
        random_swinir(SwinIRConfig(2, 12, (2, 1), (3, 2), 4)),
        pytest.param(
            random_swinir(SwinIRConfig(4, 12, (1,), (3,), 4, upsampler="pixelshuffle")), marks=pytest.mark.slow
        ),
    ],
    ids=["edsr", "swinir-direct", "swinir-pixelshuffle"],
)
def test_the_code_of_a_card_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: SRNetwork) -> None:
    """All but the official architectures, for which ours stand in."""

    def official_edsr(*channels: int, num_feat: int, num_block: int, upscale: int, res_scale: float) -> EDSR:
        assert channels == (3, 3)
        return EDSR(EDSRConfig(upscale, num_feat, num_block, res_scale=res_scale))

    def official_swinir(upscale: int, img_size: int, img_range: float, **fields: Any) -> SwinIR:
        assert img_range == 1
        assert img_size % fields["window_size"] == 0
        return SwinIR(SwinIRConfig.from_dict({"scale": upscale, **fields}))

    for module, name, stand_in in (
        ("basicsr.archs.edsr_arch", "EDSR", official_edsr),
        ("models.network_swinir", "SwinIR", official_swinir),
    ):
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:end]), types.ModuleType(".".join(parts[:end])))
        monkeypatch.setattr(sys.modules[module], name, stand_in, raising=False)
    monkeypatch.chdir(tmp_path)
    write_waves(tmp_path / "small.png", 21, 18, seed=0)
    formats = ["safetensors", "pth", *(["onnx", "pt2"] if network.family == "edsr" else [])]  # SwinIR's takes seconds
    opset = 17 if "onnx" in formats else None  # whose conversion is quick
    export_formats(network, "student", Path(), Wanted.parse(formats, opset), {})
    lr = torch.from_numpy(np.array(Image.open("small.png"))).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = network(lr)
    codes = snippets(Path("student.md").read_text())
    assert len(codes) == 2 + len(formats) if network.family == "edsr" else 4
    rounded = (expected[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    written = 0
    for code in codes:
        names: dict[str, Any] = {}
        exec(code, names)
        sr = torch.as_tensor(names["sr"]) if "sr" in names else names["network"](lr).detach()
        torch.testing.assert_close(sr, expected, atol=1e-4, rtol=1e-4)
        if (large := Path("large.png")).exists():
            assert abs(np.asarray(Image.open(large), np.int16) - rounded).max() <= 1
            large.unlink()
            written += 1
    assert written == len(formats)  # of each format, one code upscales a picture


def test_the_card_of_a_student_tells_where_it_comes_from(
    tmp_path: Path, finished: tuple[RunFolder, object, object], teacher_file: Path
) -> None:
    run = finished[0]
    best = pick(front_rows(run))
    result = invoke(run.path, "--out", tmp_path, "--trial", "pick", "--format", "safetensors-fp16")
    name = file_names(run)[best["trial"]]
    assert result.stdout == f"{tmp_path / name}-fp16.safetensors\n"
    files = [f"{name}-fp16.json", f"{name}-fp16.safetensors", f"{name}.md", f"{name}.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    card = (tmp_path / f"{name}.md").read_text()
    assert front_matter(card)["license"] == "other"
    header = front_matter(card)
    assert (header["pipeline_tag"], header["library_name"]) == ("image-to-image", "autocompress")
    assert "base_model" not in header  # a file of this machine is none
    [model] = header["model-index"]
    [result_] = model["results"]
    assert (model["name"], result_["dataset"]["name"]) == (name, str(run.config.valid))
    measured = {metric["type"]: metric["value"] for metric in result_["metrics"]}
    assert measured == {"psnr": round(best["psnr_y"], 4), "ssim": round(best["ssim_y"], 4)}
    assert f"]({name}.png)" in card
    with Image.open(tmp_path / f"{name}.png") as picture:
        assert picture.width > 3 * 160
    assert f"{teacher_file}: not one that ships with autocompress; its licence is yours to check." in card
    references = run.config.references.to_dict()
    for scores in (references["bicubic"], best, references["teacher"]):
        assert f" {scores['psnr_y']:.2f} | {scores['ssim_y']:.4f} |" in card
    assert f"{best['flops']:,}) for an output of 1280x720" in card
    assert f"| parameters | {best['params']:,} |" in card
    assert f"of {run.config.valid.name}" in card
    settings = run.config.settings
    assert settings is not None
    command = Settings.from_dict(settings).command
    assert command in card
    assert "float16; computed in float32" in card
    about = json.loads((tmp_path / f"{name}-fp16.json").read_text())
    assert about["provenance"]["command"] == command


def test_students_of_shipped_teachers_have_their_licence(tmp_path: Path) -> None:
    about = {"provenance": {"teacher": "edsr-baseline-x2", "target": "swinir-s-x2"}}
    export_formats(edsr(EDSRConfig(2, 4, 1)), "student", tmp_path, Wanted.parse(["pth"]), about)
    card = (tmp_path / "student.md").read_text()
    assert front_matter(card)["license"] == "apache-2.0"
    for name in ("edsr-baseline-x2", "swinir-s-x2"):
        assert f"- {name}: {shipped()[name].about['provenance']['licence']}." in card


def test_the_card_of_a_shipped_teacher(tmp_path: Path) -> None:
    teacher = shipped()["edsr-baseline-x2"]
    export_file(teacher.file, "teacher", tmp_path, Wanted.parse(["pth"]))
    card = (tmp_path / "teacher.md").read_text()
    assert "| Set5 | 37.99 |" in card
    [model] = front_matter(card)["model-index"]
    assert {
        result["dataset"]["name"]: round(result["metrics"][0]["value"], 2)
        for result in model["results"]
        if result["dataset"]["name"] == "Set5"
    } == {"Set5": 37.99}
    assert "BSDS500 was released for research" in card


@pytest.mark.parametrize(("num_layer", "tail"), [(2, "plain"), (3, "plain"), (2, "folded")])
def test_the_card_of_a_file_of_which_nothing_is_known(tmp_path: Path, num_layer: int, tail: str) -> None:
    file = tmp_path / "net_g.pth"
    torch.save({"params": edsr(EDSRConfig(2, 4, 1, num_layer, tail=tail)).state_dict()}, file)
    file.with_suffix(".json").write_text('{"provenance": "mine"}')  # of something else
    export_file(file, "net_g", tmp_path / "there", Wanted.parse(["pth"]))
    card = (tmp_path / "there" / "net_g.md").read_text()
    assert "check their licence before you share them" in card
    assert "Nothing is recorded of how it was trained." in card
    assert ("The official code has no such network." in card) == ((num_layer, tail) != (2, "plain"))


def test_the_card_and_the_side_file_have_the_flops_of_what_is_folded(tmp_path: Path) -> None:
    """Where a plain tail becomes one convolution; with few features that would be more work."""
    for feat, folded in ((16, True), (4, False)):
        network = edsr(EDSRConfig(2, feat, 1))
        export_formats(network, "student", tmp_path, Wanted.parse(["safetensors", "pt2"]), {})
        about, card = json.loads((tmp_path / "student.json").read_text()), (tmp_path / "student.md").read_text()
        expected = EDSRFamily().flops(EDSRConfig(2, feat, 1, tail="folded"))
        assert about["flops"] == EDSRFamily().flops(EDSRConfig(2, feat, 1))
        assert about.get("program_flops") == (expected if folded else None)
        assert (f"| FLOPs as pt2 | {expected / 1e9:.3f}G" in card) == folded
    export_formats(edsr(EDSRConfig(2, 16, 1)), "student", tmp_path, Wanted.parse(["safetensors"]), {})
    assert "FLOPs as" not in (tmp_path / "student.md").read_text()


def test_what_a_side_file_says_is_text_in_a_card() -> None:
    """A side file of others may say anything of its licence and versions."""
    picture = "![x](https://example.org/seen.png)<img src=x>"
    about = {"provenance": {"licence": picture, "versions": {picture: picture}, "teacher": picture, "init": picture}}
    shown = card("small", edsr(EDSRConfig(2, 4, 1)), about, ["small.safetensors"], Wanted((Format.SAFETENSORS,)))
    assert "![" not in shown
    assert "<img" not in shown
    assert shown.count("https://example.org") == 5
