"""Files of weights that are none, are damaged or would run code."""

import re
from pathlib import Path

import pytest
import torch
from helpers.edsr_networks import weights
from helpers.network_files import CodeRunningPickle
from safetensors.torch import save_file

import autocompress
from autocompress.errors import CheckpointError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, but a state dict"),
        ({"epoch": 3}, "holds a dict of 'epoch', but a state dict"),
        ({}, "holds a dict of nothing"),
    ],
)
def test_a_file_without_tensors(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=message):
        autocompress.load(tmp_path / "odd.pth")


def test_a_pickle_that_would_run_code_is_refused_unrun(tmp_path: Path) -> None:
    torch.save({"params": weights(), "bomb": CodeRunningPickle(tmp_path / "ran")}, tmp_path / "bomb.pth")
    with pytest.raises(CheckpointError, match="could run code, so it is refused"):
        autocompress.load(tmp_path / "bomb.pth")
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "bomb.pth", weights_only=False)
    assert (tmp_path / "ran").exists()  # the bomb is a real one


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.5, 0.99])
def test_a_cut_file_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"cut{suffix}"
    save_file(weights(), path) if suffix == ".safetensors" else torch.save(weights(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=re.escape(str(path))):
        autocompress.load(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_noise_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"noise{suffix}"
    for seed in range(20):
        torch.manual_seed(seed)
        path.write_bytes(torch.randint(0, 256, (200,), dtype=torch.uint8).numpy().tobytes())
        with pytest.raises(CheckpointError, match="noise"):
            autocompress.load(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        autocompress.load(tmp_path / "none.pth")
