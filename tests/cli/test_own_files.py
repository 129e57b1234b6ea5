"""Students and exports of EDSR in files of our own, with what their side files say."""

import json
from pathlib import Path

import pytest
import torch
from helpers.edsr_networks import FAMILY, weights
from safetensors.torch import save_file

import autocompress
from autocompress.errors import CheckpointError
from autocompress.export.files import export_network
from autocompress.io import atomic, checkpoints
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.weights import digest


def store(path: Path, network: EDSR) -> None:
    checkpoints.save_tensors(path, network.state_dict())
    atomic.write_json(path.with_suffix(".json"), {"family": "edsr", "config": network.config.to_dict()})


@pytest.mark.parametrize("num_layer", [1, 2, 3])
def test_our_own_student_comes_back_whole(tmp_path: Path, num_layer: int) -> None:
    network = FAMILY.build(EDSRConfig(3, 5, 2, num_layer, res_scale=0.3)).eval()
    store(tmp_path / "student.safetensors", network)
    loaded = autocompress.load(tmp_path / "student.safetensors")
    assert loaded.config == network.config  # with what is in no tensor
    lr = torch.rand(1, 3, 6, 5)
    assert torch.equal(loaded(lr), network(lr))


@pytest.mark.parametrize("format", ["pth", "safetensors"])
@pytest.mark.parametrize("num_layer", [1, 3])
def test_an_export_says_how_many_convolutions_a_block_has(tmp_path: Path, num_layer: int, format: str) -> None:
    network = FAMILY.build(EDSRConfig(3, 5, 2, num_layer, res_scale=0.3)).eval()
    path = export_network(network, "net_g", tmp_path, format, {})
    side_file = path.with_suffix(".json")
    assert json.loads(side_file.read_text())["config"]["num_layer"] == num_layer
    described = autocompress.load(path)
    side_file.unlink()
    inferred = autocompress.load(path)  # its keys tell as much
    lr = torch.rand(1, 3, 6, 5)
    for loaded in (described, inferred):
        assert loaded.config == EDSRConfig(3, 5, 2, num_layer)
        torch.testing.assert_close(loaded(lr), network(lr), atol=1e-6, rtol=0)


@pytest.mark.parametrize("other", ['{"family": "edsr"}', "[]"])
@pytest.mark.parametrize("name", ["net_g.pth", "net_g.safetensors"])
def test_a_json_file_of_something_else_is_no_side_file(tmp_path: Path, name: str, other: str) -> None:
    save = checkpoints.save_pth if name.endswith("pth") else checkpoints.save_tensors
    save(tmp_path / name, FAMILY.build(EDSRConfig(3, 5, 2)).state_dict())
    (tmp_path / "net_g.json").write_text(other)
    assert autocompress.load(tmp_path / name).config == EDSRConfig(3, 5, 2)


@pytest.mark.slow
def test_an_exported_pth_comes_back_as_its_side_file_says(tmp_path: Path) -> None:
    network = FAMILY.build(
        EDSRConfig(2, 256, 32)
    ).eval()  # whose res_scale is taken as 0.1 where nothing says otherwise
    export_network(network, "net_g", tmp_path, "pth", {})
    assert autocompress.load(tmp_path / "net_g.pth").config == network.config
    with pytest.raises(CheckpointError, match=r"res_scale 0\.1 was given"):
        autocompress.load(tmp_path / "net_g.pth", res_scale=0.1)


@pytest.mark.parametrize(
    "side",
    [
        '{"family": "unet", "config": {"scale": 2}}',
        '{"family": "edsr", "config": {"scale": 2, "depth": 3}}',
        '{"family": "edsr", "config": {"scale": 5}}',
        '{"family": "edsr", "config": {"scale": 3, "num_feat": "many"}}',
        '{"family": "edsr", "config": {"scale": 3, "num_feat": 5.5, "num_block": 2}}',
        '{"family": "edsr", "config": {"scale": 3, "num_feat": 6, "num_block": 2}}',
        "{",
    ],
)
def test_a_side_file_that_is_wrong_is_refused(tmp_path: Path, side: str) -> None:
    store(tmp_path / "student.safetensors", FAMILY.build(EDSRConfig(3, 5, 2)))
    (tmp_path / "student.json").write_text(side)
    with pytest.raises(CheckpointError, match=r"student\.json"):
        autocompress.load(tmp_path / "student.safetensors")


def test_the_digest_is_of_the_network_not_of_its_file(tmp_path: Path) -> None:
    tensors = weights()
    torch.save({"params": {f"module.{key}": value for key, value in tensors.items()}}, tmp_path / "a.pth")
    save_file(tensors, tmp_path / "b.safetensors")
    store(tmp_path / "c.safetensors", autocompress.load(tmp_path / "a.pth"))
    same = {digest(autocompress.load(tmp_path / name)) for name in ("a.pth", "b.safetensors", "c.safetensors")}
    assert len(same) == 1
    placed = autocompress.load(tmp_path / "a.pth").to(memory_format=torch.channels_last)
    assert {digest(placed)} == same
    tensors["conv_last.bias"] = tensors["conv_last.bias"] + 1e-6
    save_file(tensors, tmp_path / "d.safetensors")
    others = {
        digest(autocompress.load(tmp_path / "d.safetensors")),
        digest(autocompress.load(tmp_path / "a.pth", res_scale=0.5)),
    }
    assert len(others | same) == 3


@pytest.mark.parametrize("num_layer", [1, 2, 3])
def test_for_export_folds_residual_scaling(num_layer: int) -> None:
    network = FAMILY.build(EDSRConfig(2, 6, 3, num_layer, res_scale=0.1)).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    plain = FAMILY.for_export(network)
    assert plain.config == EDSRConfig(2, 6, 3, num_layer)
    lr = torch.rand(2, 3, 9, 8)
    torch.testing.assert_close(plain(lr), network(lr), atol=1e-6, rtol=0)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
