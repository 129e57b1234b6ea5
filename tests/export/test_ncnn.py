"""Files for ncnn: run by ncnn on images of any size, under the names that Upscayl expects; or refused in one line."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.command_line import Call
from helpers.documentation import ROOT, commands
from helpers.images import write_waves
from helpers.swinir_networks import random_swinir
from PIL import Image

from autocompress.errors import ExportFailed
from autocompress.export import ncnn_files
from autocompress.export.files import export_formats
from autocompress.export.formats import Wanted
from autocompress.export.ncnn_files import upscaled, write_ncnn
from autocompress.networks import FAMILIES, load
from autocompress.networks.base import SRNetwork
from autocompress.networks.compact.network import CompactConfig
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.networks.swinir.network import SwinIRConfig

IS_HERE = find_spec("ncnn") is not None and find_spec("pnnx") is not None
needs_ncnn = pytest.mark.skipif(not IS_HERE, reason="ncnn and pnnx are not installed: pip install 'autocompress[ncnn]'")


def edsr(config: EDSRConfig) -> SRNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FAMILIES["edsr"].build(config).eval()


@needs_ncnn
@pytest.mark.parametrize(
    "network",
    [
        edsr(EDSRConfig(2, 16, 2, res_scale=0.1)),
        edsr(EDSRConfig(4, 6, 1, num_layer=3)),
        edsr(EDSRConfig(3, 4, 1, tail="folded")),
        FAMILIES["compact"].build(CompactConfig(2, 6, 2)).eval(),
    ],
    ids=["edsr-x2", "edsr-x4-3", "edsr-folded-x3", "compact"],
)
def test_ncnn_runs_what_the_card_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: SRNetwork) -> None:
    monkeypatch.chdir(tmp_path)
    files = export_formats(network, "2x-net", Path(), Wanted.parse(["ncnn"]), {})
    assert [file.name for file in files] == ["2x-net.param", "2x-net.bin"]
    lines = Path("2x-net.param").read_text().splitlines()
    assert lines[0] == "7767517"
    assert lines[2].split()[-1] == "data"
    assert "output" in lines[-1].split()
    write_waves(Path("small.png"), 33, 21, seed=0)
    card = Path("2x-net.md").read_text()
    assert "- ncnn\n" in card
    [code] = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    lr = torch.from_numpy(names["lr"])[None]
    with torch.inference_mode():
        expected = network(lr)[0]
    torch.testing.assert_close(torch.from_numpy(names["sr"]), expected, atol=5e-3, rtol=0)  # some have fp16 on
    rounded = (expected.clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    assert abs(np.asarray(Image.open("large.png"), np.int16) - rounded).max() <= 2


@needs_ncnn
def test_what_ncnn_cannot_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match=r"ncnn has no operators for swinir networks \(.*\); take --format onnx"):
        write_ncnn(random_swinir(SwinIRConfig(2, 12, (2,), (2,), 4)), tmp_path / "student.param")
    assert not list(tmp_path.iterdir())


@needs_ncnn
def test_what_computes_something_else_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, other = edsr(EDSRConfig(2, 4, 1)), ncnn_files._converted(FAMILIES["edsr"].build(EDSRConfig(2, 4, 1)))
    monkeypatch.setattr(ncnn_files, "_converted", lambda _: other)
    with pytest.raises(ExportFailed, match=r"differ by up to .* on images of 37x53 pixels, but must agree to 1e-04"):
        write_ncnn(network, tmp_path / "student.param")
    assert not list(tmp_path.iterdir())


@needs_ncnn
def test_the_commands_of_the_page_run(call: Call, here: Path) -> None:
    import ncnn

    found = [line for line in commands(ROOT / "docs" / "deploying.md") if "--format ncnn" in line]
    for command in found:
        assert call(*command.split()[1:]).code == 0
    assert found
    runner = ncnn.Net()
    assert runner.load_param("models/edsrmini-x2.param") == runner.load_model("models/edsrmini-x2.bin") == 0
    lr = torch.rand(1, 3, 30, 20)
    sr = torch.from_numpy(upscaled(runner, lr[0].numpy()))
    torch.testing.assert_close(sr, load("edsrmini-x2")(lr)[0].detach(), atol=5e-3, rtol=0)


@pytest.mark.parametrize("package", ["ncnn", "pnnx"])
def test_without_ncnn_the_remedy_is_named(
    call: Call, here: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    ended = call("export", "edsrmini-x2", "--out", "models", "--format", "ncnn")
    assert ended.code == 2
    assert "pip install 'autocompress[ncnn]'" in ended.err
    assert not Path("models").exists()
