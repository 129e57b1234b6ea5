"""Files whose names, shapes and side files give sizes that no parameter has: windows, masks, blocks without weights."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.bounds import within
from helpers.own_network import CODE, OwnNetwork
from helpers.swinir_networks import random_swinir
from helpers.torchvision_stub import stand_in_for_torchvision
from safetensors.torch import save_file
from torch import Tensor

import autocompress
from autocompress.errors import CheckpointError
from autocompress.networks.swinir.network import SwinIRConfig

MEGABYTES = 600
MASKED = f"""{CODE}

class Masked(OwnNetwork):
    def __init__(self, size: int = 8, blocks: int = 2):
        super().__init__(blocks=2)
        self.register_buffer("mask", torch.ones(size, size), persistent=False)
        for _ in range(blocks):
            torch.linspace(0, 1, 3).sum().item()
"""


def swinir(depth: int, window: int) -> dict[str, Tensor]:
    """Of as few bytes as such a file may have."""
    small = random_swinir(SwinIRConfig(2, 6, (depth,), (2,), 4)).state_dict()
    table = torch.zeros((2 * window - 1) ** 2, 2, dtype=torch.float8_e4m3fn)
    return {
        name: table.clone() if name.endswith("relative_position_bias_table") else value for name, value in small.items()
    }


@pytest.mark.parametrize(("depth", "window"), [(2, 64), pytest.param(120, 32, marks=pytest.mark.slow)])
def test_windows_that_take_gigabytes(tmp_path: Path, depth: int, window: int) -> None:
    save_file(swinir(depth, window), tmp_path / "windows.safetensors")
    with (
        within(MEGABYTES),
        pytest.raises(CheckpointError, match=r"more than .*B of memory to build, which is more"),
    ):
        autocompress.load(tmp_path / "windows.safetensors")


def test_larger_windows_than_published_ones_are_read(tmp_path: Path) -> None:
    save_file(swinir(2, 32), tmp_path / "windows.safetensors")
    with within(MEGABYTES):
        assert autocompress.load(tmp_path / "windows.safetensors").config.to_dict()["window_size"] == 32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 100_000}, "of memory to build"),
        pytest.param({"blocks": 130_000}, "operations to build", marks=pytest.mark.slow),
        ({"size": 16}, ""),
    ],
)
def test_a_side_file_with_sizes_that_no_parameter_has(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    (tmp_path / "own.py").write_text(MASKED)
    file = tmp_path / "own.safetensors"
    save_file(OwnNetwork().state_dict(), file)
    file.with_suffix(".json").write_text(
        json.dumps({"family": "Masked", "scale": 2, "config": {"scale": 2, "arguments": arguments}})
    )
    code = f"{tmp_path / 'own.py'}:Masked"
    with within(MEGABYTES):
        if message:
            with pytest.raises(CheckpointError, match=message):
                autocompress.load(file, code=code, input_range=1)
        else:
            assert autocompress.load(file, code=code, input_range=1).config.to_dict()["arguments"] == arguments


@pytest.mark.skipif(importlib.util.find_spec("spandrel") is None, reason="spandrel is not installed; it is an extra")
def test_sizes_that_spandrel_reads_off(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Also that what PyTorch warns of in its code reaches nobody."""
    stand_in_for_torchvision()
    tensors = dict(random_swinir(SwinIRConfig(2, 6, (2,), (2,), 4)).state_dict())
    tensors["layers.0.residual_group.blocks.0.attn.relative_position_index"] = torch.zeros(200**2, 1, dtype=torch.int8)
    tensors["conv_after_body.0.weight"] = tensors.pop("conv_after_body.weight")  # which the family refuses
    save_file(tensors, tmp_path / "windows.safetensors")
    with within(MEGABYTES), pytest.raises(CheckpointError, match="three convolutions after each residual block"):
        autocompress.load(tmp_path / "windows.safetensors")
    assert capfd.readouterr().err == ""
