"""Exported programs: read again by PyTorch alone, for images of any size; or refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from helpers.command_line import Call
from helpers.swinir_networks import random_swinir

import autocompress
from autocompress.errors import ExportFailed
from autocompress.export import programs
from autocompress.export.programs import ABOUT, write_program
from autocompress.networks import FAMILIES
from autocompress.networks.base import SRNetwork
from autocompress.networks.compact.network import CompactConfig
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.code import Code
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.swinir.network import SwinIRConfig

NETWORKS = Path(__file__).parents[1] / "helpers" / "sr_networks.py"
SIZES = ((1, 3, 32, 48), (2, 3, 41, 70), (1, 3, 150, 131))
ALONE = """
import sys, torch
network = torch.export.load(sys.argv[1]).module()
with torch.inference_mode():
    torch.save([network(lr) for lr in torch.load(sys.argv[2])], sys.argv[3])
assert not any("autocompress" in name for name in sys.modules)
"""


def edsr(config: EDSRConfig) -> EDSR:
    return EDSRFamily().build(config).eval()


def own(patch: pytest.MonkeyPatch, name: str, **arguments: object) -> SRNetwork:
    """A network of tests' own code, whose family is known for as long as the test."""
    family = CustomFamily(Code.of(NETWORKS, name), arguments)
    patch.setitem(FAMILIES, name, family)
    return family.build(family.config(255.0)).eval()


def check(network: SRNetwork, folder: Path) -> None:
    """That another process, without this package, computes the same."""
    write_program(network, folder / "student.pt2")
    images = [torch.rand(size) for size in SIZES]
    torch.save(images, folder / "lr.pt")
    paths = [str(folder / name) for name in ("student.pt2", "lr.pt", "sr.pt")]
    subprocess.run([sys.executable, "-c", ALONE, *paths], check=True, cwd=folder)
    for lr, sr in zip(images, torch.load(folder / "sr.pt"), strict=True):
        with torch.inference_mode():
            torch.testing.assert_close(sr, network(lr), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "network",
    [
        FAMILIES["compact"].build(CompactConfig(3, 6, 1)).eval(),  # whose conversion is quick
        pytest.param(edsr(EDSRConfig(3, 6, 1, res_scale=0.1)), marks=pytest.mark.slow),
    ],
    ids=["compact", "edsr"],
)
def test_a_program_runs_with_pytorch_alone(tmp_path: Path, network: SRNetwork) -> None:
    check(network, tmp_path)
    files: dict[str, str] = {ABOUT: ""}
    torch.export.load(tmp_path / "student.pt2", extra_files=files)
    about = json.loads(files[ABOUT])
    assert (about["family"], about["scale"], about["autocompress"]) == (network.family, 3, autocompress.__version__)
    with zipfile.ZipFile(tmp_path / "student.pt2") as parts:
        content = b"".join(map(parts.read, parts.namelist()))
    assert str(Path(autocompress.__file__).parent).encode() not in content


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("RLFN", {"feature_channels": 8, "upscale": 2, "esa_channels": 4, "mid": 1}),
        ("IMDN", {"nf": 16, "num_modules": 1, "upscale": 2}),
    ],
)
def test_so_do_students_of_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, arguments: dict[str, int]
) -> None:
    check(own(monkeypatch, name, **arguments), tmp_path)


def test_what_needs_a_fixed_size_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = own(monkeypatch, "SMFANet", dim=8, n_blocks=1, upscaling_factor=2)
    with pytest.raises(ExportFailed, match=r"^[^\n]* cannot export this network for images of any size \([^\n]*$"):
        write_program(network, tmp_path / "student.pt2")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_so_it_is_of_the_command(call: Call, here: Path) -> None:
    torch.manual_seed(0)
    code = ("--code", f"{NETWORKS}:SMFANet", "--set", "dim=8", "--set", "n_blocks=1", "--set", "upscaling_factor=2")
    network = Code.of(NETWORKS, "SMFANet").build({"dim": 8, "n_blocks": 1, "upscaling_factor": 2})
    torch.save(network.state_dict(), "net.pth")
    ended = call("export", "net.pth", *code, "--input-range", "1", "--out", "models", "--format", "pt2")
    assert ended.code == 1
    assert "cannot export this network for images of any size (" in ended.err
    assert ended.err.count("error:") == 1
    assert not Path("models").exists()


@pytest.mark.slow
def test_swinir_says_so_too_and_is_written_for_one_size(tmp_path: Path) -> None:
    network = random_swinir(SwinIRConfig(2, 12, (2,), (2,), 4))
    with pytest.raises(ExportFailed, match=r"take --format onnx, .* or images of one size, by --shape"):
        write_program(network, tmp_path / "student.pt2")
    write_program(network, tmp_path / "student.pt2", (24, 30))
    lr = torch.rand(1, 3, 24, 30)
    torch.testing.assert_close(torch.export.load(tmp_path / "student.pt2").module()(lr), network(lr))


def test_a_program_that_computes_something_else_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = programs._exported(edsr(EDSRConfig(2, 4, 1)))
    monkeypatch.setattr(programs, "_exported", lambda *_, **__: other)
    with pytest.raises(ExportFailed, match=r"differ by up to .* on images of 37x53 pixels, but must agree to 1e-04"):
        write_program(edsr(EDSRConfig(2, 4, 1)), tmp_path / "student.pt2")
    assert not list(tmp_path.iterdir())


ANEW = """
import torch
import torch.nn.functional as F
from torch import nn


class Anew(nn.Module):
    def __init__(self, feat=8):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, feat, 3, padding=1), nn.Conv2d(feat, 12, 1)
        self.merged = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, x):
        if self.training:
            return F.pixel_shuffle(self.second(self.first(x)), 2)
        weight = torch.einsum("oi,icxy->ocxy", self.second.weight[:, :, 0, 0], self.first.weight)
        self.merged.weight.data = weight
        self.merged.bias.data = self.second.weight[:, :, 0, 0] @ self.first.bias + self.second.bias
        return F.pixel_shuffle(self.merged(x), 2)
"""


def test_what_computes_its_weights_anew_in_eval_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As SPAN does: it is captured in training mode, which computes the same."""
    (tmp_path / "anew.py").write_text(ANEW)
    family = CustomFamily(Code.of(tmp_path / "anew.py", "Anew"), {})
    monkeypatch.setitem(FAMILIES, "Anew", family)
    network = family.build(family.config()).eval()
    write_program(network, tmp_path / "student.pt2")
    assert not network.training
    program = torch.export.load(tmp_path / "student.pt2").module()
    lr = torch.rand(2, 3, 41, 70)
    with torch.no_grad():
        torch.testing.assert_close(program(lr), network(lr), atol=1e-5, rtol=1e-4)
        network.network.second.weight.mul_(2)  # type: ignore[operator, union-attr]
        assert (program(lr) - network(lr)).abs().max() > 1e-3  # the weights were those of the capture
