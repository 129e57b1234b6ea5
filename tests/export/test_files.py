"""Exports: ONNX files that run alone, halves, and a run's front with its index."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers.command_line import Call
from helpers.edsr_networks import edsr
from helpers.export_command import front_matter, invoke
from helpers.images import write_waves
from helpers.swinir_networks import random_swinir

import autocompress
from autocompress.data.folders import open_folder
from autocompress.errors import ExportFailed, InvalidInput
from autocompress.evaluation.scores import MIN_SIDE, evaluate, network_upscaler, pairs
from autocompress.export import onnx_files
from autocompress.export.files import export_formats, export_network
from autocompress.export.formats import Wanted
from autocompress.export.onnx_files import OnnxConverter, write_onnx
from autocompress.networks import FAMILIES, file_name
from autocompress.networks.base import SRNetwork
from autocompress.networks.compact.network import CompactConfig
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.networks.teachers import shipped
from autocompress.search import RunFolder
from autocompress.search.results.export import file_names
from autocompress.search.results.rows import front_rows, pick

ALONE = """
import sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
images = np.load(sys.argv[2])
np.savez(sys.argv[3], **{name: session.run(["sr"], {"lr": images[name]})[0] for name in images})
assert not {"torch", "autocompress"} & sys.modules.keys()
"""
SIZES = [(1, 37, 53), (2, 64, 41), (1, 8, 8), (3, 5, 19), (1, 1, 1)]


def refused(message: str, *arguments: object) -> None:
    result = invoke(*arguments)
    assert isinstance(result.exception, InvalidInput)
    assert message in str(result.exception)
    assert result.stdout == ""


# --- ONNX ---


@pytest.mark.parametrize(
    "network",
    [
        edsr(EDSRConfig(2, 6, 2, num_layer=1)),
        pytest.param(edsr(EDSRConfig(3, 6, 2, res_scale=0.1)), marks=pytest.mark.slow),
        pytest.param(edsr(EDSRConfig(4, 6, 1, num_layer=3)), marks=pytest.mark.slow),
        pytest.param(edsr(EDSRConfig(3, 4, 1, tail="folded")), marks=pytest.mark.slow),
        pytest.param(random_swinir(SwinIRConfig(2, 12, (2,), (2,))), marks=pytest.mark.slow),
        pytest.param(
            random_swinir(SwinIRConfig(3, 12, (1, 2), (3, 2), 4, upsampler="pixelshuffle")), marks=pytest.mark.slow
        ),
    ],
    ids=["edsr-x2-1", "edsr-x3-2", "edsr-x4-3", "edsr-folded", "swinir-direct", "swinir-pixelshuffle"],
)
def test_onnx_runs_alone_on_images_of_any_size(tmp_path: Path, network: SRNetwork) -> None:
    file = tmp_path / "models" / "student.onnx"
    write_onnx(network, file)
    assert [path.name for path in file.parent.iterdir()] == ["student.onnx"]
    images = {str(size): torch.rand(size[0], 3, *size[1:]).numpy() for size in SIZES}
    np.savez(tmp_path / "lr.npz", **images)  # type: ignore[arg-type]
    paths = [str(file), str(tmp_path / "lr.npz"), str(tmp_path / "sr.npz")]
    subprocess.run([sys.executable, "-c", ALONE, *paths], check=True, cwd=tmp_path)
    found = np.load(tmp_path / "sr.npz")
    for name, lr in images.items():
        with torch.inference_mode():
            expected = network(torch.from_numpy(lr))
        torch.testing.assert_close(torch.from_numpy(found[name]), expected, atol=1e-4, rtol=1e-4)


def compact(num_feat: int) -> SRNetwork:
    """Whose conversion is quick: it has nothing at its border."""
    return FAMILIES["compact"].build(CompactConfig(2, num_feat, 1)).eval()


def test_an_onnx_file_describes_itself_and_nothing_of_this_machine(tmp_path: Path) -> None:
    network = compact(6)
    write_onnx(network, tmp_path / "student.onnx")
    model = onnx.load(tmp_path / "student.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert (about["family"], about["scale"], about["autocompress"]) == ("compact", "2", autocompress.__version__)
    assert json.loads(about["config"]) == network.config.to_dict()
    [lr], [sr] = model.graph.input, model.graph.output
    assert [dim.dim_param or dim.dim_value for dim in lr.type.tensor_type.shape.dim] == ["batch", 3, "height", "width"]
    assert (lr.name, sr.name) == ("lr", "sr")
    content = (tmp_path / "student.onnx").read_bytes()
    assert str(Path(autocompress.__file__).parent).encode() not in content
    assert b"stack_trace" not in content


def test_an_onnx_file_that_computes_something_else_is_not_left(
    call: Call, tmp_path: Path, tiny_teacher: EDSR, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(tiny_teacher.state_dict(), tmp_path / "teacher.pth")
    other = onnx_files._converted(edsr(tiny_teacher.config), 17, None)
    monkeypatch.setattr(onnx_files, "_converted", lambda *_: other)
    with pytest.raises(ExportFailed, match=r"differ by up to .* on images of 37x53 pixels, but must agree to 1e-04"):
        write_onnx(tiny_teacher, tmp_path / "models" / "student.onnx", opset=17)
    ended = call("export", tmp_path / "teacher.pth", "--out", tmp_path / "models", "--format", "onnx", "--opset", "17")
    assert ended.code == 1
    assert ended.err.startswith("error: ONNX Runtime")
    assert not (tmp_path / "models").exists()


def test_what_pytorch_cannot_convert_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.onnx.errors.OnnxExporterError("no such operator\nand a page more")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(ExportFailed, match=r"cannot export this network to ONNX: no such operator$"):
        write_onnx(edsr(EDSRConfig(2, 4, 1)), tmp_path / "student.onnx")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_without_onnx_the_remedy_is_named(
    tmp_path: Path, teacher_file: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    refused(
        "pip install 'autocompress[onnx]'",
        *(teacher_file, "--out", tmp_path / "there", "--format", "pth", "--format", "onnx"),
    )
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize(
    "network",
    [
        edsr(EDSRConfig(2, 16, 1)),
        FAMILIES["compact"].build(CompactConfig(2, 6, 1)).eval(),
        pytest.param(random_swinir(SwinIRConfig(2, 12, (2,), (2,))), marks=pytest.mark.slow),
    ],
    ids=["edsr", "compact", "swinir"],
)
def test_older_opsets_compute_the_same(tmp_path: Path, network: SRNetwork) -> None:
    for opset in (13, 17):
        write_onnx(network, tmp_path / "old.onnx", opset=opset)
        model = onnx.load(tmp_path / "old.onnx")
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
        assert {entry.key for entry in model.metadata_props} == {"family", "scale", "autocompress", "config"}
        session = onnxruntime.InferenceSession(tmp_path / "old.onnx")
        assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
        for size in SIZES[:3]:
            lr = torch.rand(size[0], 3, *size[1:])
            with torch.inference_mode():
                expected = network(lr)
            found = torch.from_numpy(session.run(["sr"], {"lr": lr.numpy()})[0])
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
        content = (tmp_path / "old.onnx").read_bytes()
        assert str(Path(autocompress.__file__).parent).encode() not in content


def test_a_fixed_shape_is_the_only_one(tmp_path: Path, tiny_teacher: EDSR, teacher_file: Path) -> None:
    words = ["--format", "onnx", "--format", "pt2", "--shape", "24x40"]
    assert invoke(teacher_file, "--out", tmp_path, *words, "--opset", "15").exit_code == 0
    session = onnxruntime.InferenceSession(tmp_path / "tiny.onnx")
    assert session.get_inputs()[0].shape == [1, 3, 24, 40]
    assert session.get_outputs()[0].shape == [1, 3, 48, 80]
    program = torch.export.load(tmp_path / "tiny.pt2").module()
    lr = torch.rand(1, 3, 24, 40)
    for found in (torch.from_numpy(session.run(None, {"lr": lr.numpy()})[0]), program(lr)):
        torch.testing.assert_close(found, tiny_teacher(lr), atol=1e-4, rtol=1e-4)
    assert (tmp_path / "tiny.md").read_text().count("of 24x40 (height, width) at LR") == 2
    assert "(opset 15;" in (tmp_path / "tiny.md").read_text()
    with pytest.raises(Exception, match="Got invalid dimensions"):
        session.run(None, {"lr": np.zeros((1, 3, 24, 41), np.float32)})


def test_a_network_is_converted_once_for_all_files_that_are_made_of_it(tmp_path: Path) -> None:
    converter = OnnxConverter(compact(6), 17)
    assert converter.model() is converter.model() != converter.model((24, 40))
    given = []

    def quantise(
        network: SRNetwork, name: str, opset: int, shape: object, model: bytes
    ) -> tuple[bytes, dict[str, Any]]:
        given.append(model)
        told = {"psnr_y": 30.0, "psnr_y_float32": 30.0, "scored_on": "images", "calibrated_on": "images"}
        return model, {**told, "refined_steps": 0}

    wanted = dataclasses.replace(Wanted.parse(["onnx", "onnx-int8"], opset=17), quantise=quantise)
    export_formats(compact(6), "student", tmp_path, wanted, {})
    assert given == [(tmp_path / "student.onnx").read_bytes()]


# --- float16 ---


def test_onnx_in_float16_is_half_as_large_and_takes_the_same_images(tmp_path: Path) -> None:
    network = compact(64)
    files = export_formats(network, "student", tmp_path, Wanted.parse(["onnx", "onnx-fp16"]), {})
    assert [file.name for file in files] == ["student.onnx", "student-fp16.onnx"]
    assert files[1].stat().st_size < 0.6 * files[0].stat().st_size
    kinds = {entry.data_type for entry in onnx.load(files[1]).graph.initializer if entry.dims}
    assert onnx.TensorProto.FLOAT not in kinds
    session = onnxruntime.InferenceSession(files[1])
    lr = torch.rand(2, 3, 21, 34)
    torch.testing.assert_close(
        torch.from_numpy(session.run(["sr"], {"lr": lr.numpy()})[0]), network(lr), atol=2e-3, rtol=0
    )
    card = (tmp_path / "student.md").read_text()
    assert "### student-fp16.onnx (computed in float16)" in card
    assert json.loads((tmp_path / "student-fp16.json").read_text())["config"] == network.config.to_dict()


def test_a_network_that_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    network = edsr(EDSRConfig(2, 4, 1))
    with torch.no_grad():
        network.get_parameter("conv_first.weight").mul_(1e4)
        network.get_parameter("conv_last.weight").mul_(1e-4)
    with pytest.raises(ExportFailed, match=r"has values of .* inside, but float16 ends at 6.6e\+04"):
        write_onnx(network, tmp_path / "student.onnx", half=True)
    assert not list(tmp_path.iterdir())


def test_a_network_whose_exponentials_are_too_large_for_float16_is_refused(tmp_path: Path) -> None:
    """No module's output is; ONNX Runtime computes the file in float32 here, and would not notice."""
    with pytest.raises(ExportFailed, match="in float16 this network makes values that are not finite"):
        write_onnx(autocompress.load("plainusr-x2-10g"), tmp_path / "half.onnx", half=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["edsr-baseline-x2", pytest.param("swinir-s-x2", marks=pytest.mark.slow)])
def test_halves_score_the_same(tmp_path: Path, name: str) -> None:
    network = autocompress.load(shipped()[name].file)
    torch.manual_seed(0)
    with torch.no_grad():  # the shipped files hold halves already
        for parameter in network.parameters():
            parameter.mul_(1 + 1e-3 * torch.rand_like(parameter))
    (tmp_path / "photo").mkdir()
    write_waves(tmp_path / "photo" / "waves.png", 64, 64, seed=5)
    source = open_folder(tmp_path / "photo", 2, min_size=MIN_SIDE)
    whole = export_network(network, "whole", tmp_path, "safetensors", {})
    half = export_network(network, "waves", tmp_path, "safetensors-fp16", {})
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    loaded = autocompress.load(half)
    assert next(loaded.parameters()).dtype == torch.float32
    psnr = [evaluate(network_upscaler(made), pairs(source), 2, ["psnr_y"]).mean["psnr_y"] for made in (network, loaded)]
    assert not torch.equal(next(loaded.parameters()), next(network.parameters()))
    assert psnr[1] == pytest.approx(psnr[0], abs=0.03)  # of 47 dB


def test_a_weight_too_large_for_a_half_is_refused(tmp_path: Path) -> None:
    network = edsr(EDSRConfig(2, 4, 1))
    with torch.no_grad():
        network.get_parameter("conv_last.bias")[0] = 1e5
    with pytest.raises(InvalidInput, match=r"conv_last.bias has a weight of 1e\+05, too large for float16"):
        export_network(network, "student", tmp_path / "there", "safetensors-fp16", {})
    assert not (tmp_path / "there").exists()


# --- a run ---


def test_a_front_is_exported_with_its_index(tmp_path: Path, finished: tuple[RunFolder, object, object]) -> None:
    run, front = finished[0], (front_rows(finished[0]))
    result = invoke(run.path, "--out", tmp_path, "--format", "pth", "--format", "safetensors")
    assert result.exit_code == 0
    names = [file_names(run)[row["trial"]] for row in front]
    files = [f"{name}.{format}" for name in names for format in ("pth", "safetensors")]
    assert [Path(line).name for line in result.stdout.splitlines()] == files
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {
        "index.json",
        "README.md",
        *files,
        *(f"{name}.{end}" for name in names for end in ("json", "md", "png")),
    }
    index = json.loads((tmp_path / "index.json").read_text())
    assert [row["files"] for row in index["students"]] == [files[i : i + 2] for i in range(0, len(files), 2)]
    assert [row["psnr_y"] for row in index["students"]] == [row["psnr_y"] for row in front]
    assert (
        [row["trial"] for row in index["students"] if row["pick"]]
        == [index["pick"]]
        == [pick(front_rows(run))["trial"]]
    )
    assert [row["official_code"] for row in index["students"]] == [True] * len(front)
    readme = (tmp_path / "README.md").read_text()
    assert readme.count("**pick**") == 1
    assert readme.count("| yes |") == len(front)
    header = front_matter(readme)
    assert [model["name"] for model in header["model-index"]] == names
    assert header["license"] == "other"
    assert "its licence is yours to check." in readme
    for row, name in zip(front, names, strict=True):
        assert f"[{row['trial']}]({name}.md)" in readme
        assert f"| {row['psnr_y']:.2f} |" in readme


def test_files_are_called_by_what_they_are(copied: RunFolder) -> None:
    first, second, *others = copied.students()
    assert file_names(copied)[first.trial].startswith("2x-edsr-f")
    path = copied.trial(second.trial) / "student.json"
    about = json.loads(path.read_text()) | {"config": first.config, "flops": first.flops}
    path.write_text(json.dumps(about))
    names = file_names(copied)
    assert names[second.trial] == names[first.trial].replace(f"-trial{first.trial}", f"-trial{second.trial}")
    assert len(set(names.values())) == len(names) == 2 + len(others)
    folded = {"scale": 2, "num_feat": 16, "num_block": 15, "tail": "folded"}
    assert file_name("edsr", folded, 2, 19_080_000_000) == "2x-edsr-folded-f16b15-19G"
    swinir = SwinIRConfig(2, 24, (4, 4, 4), (6, 6, 6)).to_dict()
    assert file_name("swinir", swinir, 2, 27_480_000_000) == "2x-swinir-e24b3d4h6m2-27G"
    own = {"arguments": {"scale": 4, "feat": 12, "blocks": 3, "bias": "../no"}}
    assert file_name("NotKnown", own, 4, 1_178_000_000) == "4x-NotKnown-..no-f12b3-1.2G"
    alike = {"arguments": {"width": 12, "wide": 3}}
    assert file_name("Net", alike, 3, 900) == "3x-Net-width12wide3-900"


def test_any_trial_with_a_student_can_be_exported(tmp_path: Path, finished: tuple[RunFolder, object, object]) -> None:
    run = finished[0]
    on_front = {row["trial"] for row in (front_rows(run))}
    other = next(student for student in run.students() if student.trial not in on_front)
    result = invoke(run.path, "--out", tmp_path, "--trial", other.trial, "--format", "pth")
    lr = torch.rand(1, 3, 9, 7)
    exported = autocompress.load(result.stdout.strip())
    torch.testing.assert_close(exported(lr), autocompress.load(other.file)(lr))


def test_what_cannot_be_exported_is_refused(
    tmp_path: Path, finished: tuple[RunFolder, object, object], teacher_file: Path
) -> None:
    run, out = finished[0].path, ["--out", tmp_path / "there"]
    refused(
        "trial 99 has no student: there is no such trial, or it was not trained to its end; these have: ",
        run,
        *out,
        "--trial",
        "99",
    )
    refused("--trial is 'best', but must be the number of a trial, or pick", run, *out, "--trial", "best")
    refused("is a file; leave --trial out", teacher_file, *out, "--trial", "1")
    refused("--res-scale is for a file from elsewhere", run, *out, "--res-scale", "1")
    refused(
        "--format is 'tflite', but must be one of safetensors, safetensors-fp16, pth, onnx, ",
        run,
        *out,
        "--format",
        "tflite",
    )
    refused("each format can be given once", run, *out, "--format", "pth", "--format", "pth")
    refused("--opset is for ONNX; add --format onnx", run, *out, "--format", "pth", "--opset", "17")
    refused("--opset is 12, but must be from 13 to 18", run, *out, "--format", "onnx", "--opset", "12")
    refused("--shape is for ONNX and pt2; add --format onnx", run, *out, "--shape", "360x640")
    for shape in ("360", "0x640", "360x640x3", "-1x5"):
        refused(
            "must be height and width of LR images, such as 360x640", run, *out, "--format", "pt2", "--shape", shape
        )
    for shape in ("4097x4096", "99999x99999"):
        refused("of up to 16777216 pixels; leave --shape out", run, *out, "--format", "pt2", "--shape", shape)
    assert not (tmp_path / "there").exists()


def test_a_folder_that_cannot_take_the_index_or_the_card_is_refused(
    tmp_path: Path, finished: tuple[RunFolder, object, object], teacher_file: Path
) -> None:
    for name, source in (("README.md", finished[0].path), (f"{teacher_file.stem}.md", teacher_file)):
        (tmp_path / name).mkdir()
        result = invoke(source, "--out", tmp_path)
        assert isinstance(result.exception, InvalidInput)
        assert f"{tmp_path / name}: is there, is not " in str(result.exception)
