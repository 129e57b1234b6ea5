"""The command export: its files load in BasicSR and here, and compute what they should."""

import json
import re
from pathlib import Path

import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from helpers.command_line import Call, assert_refused
from torch import Tensor, nn

import autocompress


class ResidualBlockNoBN(nn.Module):
    def __init__(self, num_feat: int, res_scale: float) -> None:
        super().__init__()
        self.res_scale = res_scale
        self.conv1 = nn.Conv2d(num_feat, num_feat, 3, 1, 1)
        self.conv2 = nn.Conv2d(num_feat, num_feat, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(F.relu(self.conv1(x)))
        return x + out * self.res_scale


class BasicSREDSR(nn.Module):
    """Written after BasicSR's edsr_arch.py, independently of the package's; x2."""

    def __init__(self, num_feat: int, num_block: int, res_scale: float = 1.0) -> None:
        super().__init__()
        self.mean = torch.Tensor((0.4488, 0.4371, 0.4040)).view(1, 3, 1, 1)
        self.conv_first = nn.Conv2d(3, num_feat, 3, 1, 1)
        self.body = nn.Sequential(*[ResidualBlockNoBN(num_feat, res_scale) for _ in range(num_block)])
        self.conv_after_body = nn.Conv2d(num_feat, num_feat, 3, 1, 1)
        self.upsample = nn.Sequential(nn.Conv2d(num_feat, 4 * num_feat, 3, 1, 1), nn.PixelShuffle(2))
        self.conv_last = nn.Conv2d(num_feat, 3, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_first((x - self.mean) * 255.0)
        x = self.conv_last(self.upsample(self.conv_after_body(self.body(x)) + x))
        return x / 255.0 + self.mean


def check_in_basicsr(file: Path, expected: nn.Module) -> None:
    """The file loads strictly into the official architecture and computes there what it should."""
    content = torch.load(file, weights_only=True)
    assert content.keys() == {"params"}
    config = json.loads(file.with_suffix(".json").read_text())["config"]
    network = BasicSREDSR(config["num_feat"], config["num_block"])
    network.load_state_dict(content["params"], strict=True)
    lr = torch.rand(1, 3, 17, 12)
    torch.testing.assert_close(network(lr), expected(lr), atol=1e-5, rtol=0)


def test_export_of_a_run_loads_in_basicsr(call: Call, searched: Path) -> None:
    result = call("export", searched, "--out", "models", "--format", "pth")
    assert result.code == 0
    files = [Path(line) for line in result.out.splitlines()]
    front = json.loads(call("pareto", searched, "--json").out)["students"]
    assert all(re.fullmatch(r"2x-edsr-f\d+b\d-[\d.]+M(-trial\d)?\.pth", file.name) for file in files)
    assert len(set(files)) == len(front)
    for file, student in zip(files, front, strict=True):
        check_in_basicsr(file, autocompress.load(student["file"]))
        about = json.loads(file.with_suffix(".json").read_text())
        assert about["metrics"]["psnr_y"] == student["psnr_y"]
        assert about["flops"] == student["flops"]


def test_export_folds_residual_scaling(call: Call, here: Path, tiny_teacher: nn.Module) -> None:
    torch.save(tiny_teacher.state_dict(), here / "scaled.pth")
    scaled = autocompress.load(here / "scaled.pth", res_scale=0.1)
    torch.save({"params": scaled.state_dict()}, here / "plain.pth")
    result = call("export", "scaled.pth", "--res-scale", "0.1", "--out", "models", "--format", "pth")
    assert result.code == 0
    check_in_basicsr(Path("models/scaled.pth"), scaled)


@pytest.mark.slow
def test_students_with_a_folded_tail_are_searched_and_exported(
    call: Call, here: Path, tmp_path: Path, search_words: list[object], photos: Path, teacher_file: Path
) -> None:
    """What official code has is told from what it has not, in the index and where a .pth is written."""
    counts = "num_feat: 4, num_block: 1, tail: {type: categorical, choices: [plain, folded]}"
    (tmp_path / "folded.yaml").write_text(f"family: edsr\nparameters: {{{counts}}}\n")
    words = list(search_words)
    words[words.index("--space") + 1] = tmp_path / "folded.yaml"
    assert call(*words, "--trials", "2", "--out", "run").code == 0
    result = call("export", "run", "--out", "models", "--format", "pth")
    assert result.code == 0
    students = json.loads(Path("models/index.json").read_text())["students"]
    for student in students:
        assert student["official_code"] == ("tail" not in student["config"])
        [file] = student["files"]
        assert (f"{file}: the architecture's official code has no such network" in result.err) == (
            not student["official_code"]
        )
    out = Path("one.safetensors")
    counts = ["--set", "num_feat=4", "--set", "num_block=1", "--set", "tail=folded"]
    words = ["--teacher", teacher_file, "--train", photos, "--data", photos, "--steps", "2", "--out", out]
    assert call("distill", "edsr", *counts, *words).code == 0
    assert json.loads(out.with_suffix(".json").read_text())["config"]["tail"] == "folded"
    result = call("export", out, "--out", "models", "--format", "pth")
    assert "one.pth: the architecture's official code has no such network" in result.err
    lr = torch.rand(1, 3, 8, 9)
    Path("models/one.json").unlink()  # its tensors say what it is
    assert torch.equal(autocompress.load("models/one.pth")(lr), autocompress.load(out)(lr))
    wrong = call("distill", "edsr", "--set", "tail=short", *words)
    assert_refused(wrong, "tail is 'short', but must be one of plain, folded")


def test_export_as_safetensors_loads_again(call: Call, searched: Path) -> None:
    [file, *_] = sorted(searched.glob("trials/*/student.safetensors"))
    result = call("export", file, "--out", "models")
    exported = Path(result.out.strip())
    assert result.code == 0
    assert re.fullmatch(r"2x-edsr-f\db\d-[\d.]+M.safetensors", exported.name)  # it knows nothing of other students
    lr = torch.rand(1, 3, 8, 9)
    assert torch.equal(autocompress.load(exported)(lr), autocompress.load(file)(lr))
    written = json.loads(exported.with_suffix(".json").read_text())
    assert written["provenance"] == json.loads(file.with_suffix(".json").read_text())["provenance"]


def test_a_run_is_not_exported_among_its_own_files(call: Call, searched: Path) -> None:
    before = sorted(searched.rglob("*"))
    for out in (searched, searched / "trials", searched / "trials" / "0000"):
        refused = call("export", searched, "--out", out)
        assert_refused(refused, "--out", "the run's own files are there", "give another folder")
    assert sorted(searched.rglob("*")) == before


def test_int8_is_calibrated_on_a_runs_own_images_and_told(call: Call, searched: Path) -> None:
    result = call("export", searched, "--out", "models", "--format", "onnx-int8", "--shape", "20x24", "--opset", "13")
    assert result.code == 0
    students = json.loads(Path("models/index.json").read_text())["students"]
    assert "PSNR-Y dB as int8" in Path("models/README.md").read_text()
    for student in students:
        [name] = student["files"]
        assert name.endswith("-int8.onnx")
        session = onnxruntime.InferenceSession(Path("models", name))
        assert session.get_inputs()[0].shape == [1, 3, 20, 24]
        told = json.loads(Path("models", name).with_suffix(".json").read_text())["int8"]
        assert told["calibrated_on"] == "2 images of photos0-train"
        assert told["scored_on"] == "1 image of photos0-valid"
        assert told["psnr_y_float32"] == pytest.approx(student["psnr_y"], abs=1e-3)
        assert told["psnr_y"] == student["psnr_y_int8"]
        assert told["refined_steps"] == 0
        said = f"{told['psnr_y']:.2f} dB PSNR-Y, in float32 {told['psnr_y_float32']:.2f} dB"
        assert said in Path("models", student["card"]).read_text()
        assert f"{student['card'].removesuffix('.md')}: the int8 file has {told['psnr_y']:.2f} dB" in result.err


@pytest.mark.slow
def test_int8_of_a_file_is_calibrated_on_given_images(call: Call, here: Path, photos: Path, teacher_file: Path) -> None:
    images = ("--train", photos, "--val", photos)
    assert call("export", teacher_file, "--out", "models", "--format", "onnx-int8", *images).code == 0
    (side_file,) = Path("models").glob("*-int8.json")
    told = json.loads(side_file.read_text())["int8"]
    assert told["calibrated_on"] == told["scored_on"] == f"3 images of {photos.name}"


def test_what_is_for_int8_alone(call: Call, here: Path, photos: Path) -> None:
    for words in (["--qat"], ["--train", photos], ["--val", photos]):
        refused = call("export", "edsrmini-x2", "--out", "models", "--format", "pth", *words)
        assert_refused(refused, f"{words[0]} is for int8; add --format onnx-int8, or leave {words[0]} out")


@pytest.mark.parametrize("format", ["pth", "safetensors"])
@pytest.mark.parametrize("out", ["/proc", "/proc/models", "file/models"])
def test_export_where_nothing_can_be_written(call: Call, here: Path, teacher_file: Path, format: str, out: str) -> None:
    (here / "file").write_text("a file")
    result = call("export", teacher_file, "--out", out, "--format", format)
    assert_refused(result, f"{out}: cannot be written to", "another folder")
