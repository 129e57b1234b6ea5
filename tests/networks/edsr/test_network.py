"""The EDSR family: equal to the original implementation."""

from pathlib import Path

import pytest
import torch
from helpers.edsr_networks import FAMILY, GOLDEN
from helpers.network_files import golden, official_shapes
from torch import Tensor
from torch.nn import functional

import autocompress
from autocompress.networks.edsr.network import EDSR, EDSRConfig


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(shared: Path, tmp_path: Path, name: str) -> None:
    content = golden(shared, name)
    torch.save(content["params"], tmp_path / "official.pth")
    network = autocompress.load(tmp_path / "official.pth", res_scale=content["res_scale"])
    assert (network.family, network.scale, network.training) == ("edsr", content["scale"], False)
    with torch.inference_mode():
        torch.testing.assert_close(network(content["x"]), content["y"], atol=1e-4, rtol=0)


def test_golden_with_residual_scaling_needs_it(shared: Path) -> None:
    content = golden(shared, "edsr_x4_f16_b3_res0.1")
    config, tensors = FAMILY.read(content["params"]) or pytest.fail("not read")
    network = FAMILY.build(config)
    network.load_state_dict(tensors)
    assert (network(content["x"]) - content["y"]).abs().max() > 1e-3


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("name", "num_feat", "num_block"), [("edsr_baseline", 64, 16), ("edsr", 256, 32)])
def test_official_keys_and_shapes(shared: Path, name: str, num_feat: int, num_block: int, scale: int) -> None:
    official = official_shapes(shared, f"{name}_x{scale}")
    with torch.device("meta"):
        ours = FAMILY.build(EDSRConfig(scale, num_feat, num_block)).state_dict()
        read = FAMILY.read({key: torch.empty(shape) for key, shape in official.items()})
    assert {key: list(value.shape) for key, value in ours.items()} == official
    assert read is not None
    res_scale = 0.1 if num_feat == 256 else 1.0  # as the large one was trained
    assert read[0] == EDSRConfig(scale, num_feat, num_block, res_scale=res_scale)


@pytest.mark.parametrize("num_layer", [1, 2, 3])
def test_blocks_of_any_number_of_convolutions(num_layer: int) -> None:
    torch.manual_seed(0)
    network = FAMILY.build(EDSRConfig(2, 5, 2, num_layer, res_scale=0.3))
    tensors = network.state_dict()

    def conv(x: Tensor, name: str) -> Tensor:
        return functional.conv2d(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], padding=1)

    lr = torch.rand(2, 3, 7, 6)
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)
    x = first = conv((lr - mean) * 255, "conv_first")
    for block in range(2):
        residual = conv(x.relu() if num_layer == 1 else x, f"body.{block}.conv1")
        for layer in range(2, num_layer + 1):
            residual = conv(residual.relu(), f"body.{block}.conv{layer}")
        x = x + 0.3 * residual
    features = conv(x, "conv_after_body") + first
    sr = conv(functional.pixel_shuffle(conv(features, "upsample.0"), 2), "conv_last") / 255 + mean
    assert len(tensors) == 2 * (4 + 2 * num_layer)
    torch.testing.assert_close(network(lr), sr, atol=1e-5, rtol=0)


def test_any_size_and_batch(tiny_teacher: EDSR) -> None:
    assert tiny_teacher(torch.rand(2, 3, 1, 7)).shape == (2, 3, 2, 14)
