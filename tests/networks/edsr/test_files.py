"""EDSRs read from every kind of file, or refused with what was found."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.edsr_networks import FAMILY, GOLDEN, configs, weights
from helpers.network_files import golden
from hypothesis import given, settings
from safetensors.torch import save_file
from torch import Tensor

import autocompress
from autocompress.errors import CheckpointError
from autocompress.networks.edsr.network import EDSRConfig


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(
    ("suffix", "key"),
    [
        (".pth", None),
        (".pth", "params"),
        (".pth", "params_ema"),
        (".pt", "state_dict"),
        (".ckpt", "state_dict"),
        (".safetensors", None),
    ],
)
def test_every_way_to_store_it(tmp_path: Path, suffix: str, prefix: str, key: str | None) -> None:
    expected = weights()
    stored = {f"{prefix}{name}": value for name, value in expected.items()}
    path = tmp_path / f"network{suffix}"
    if suffix == ".safetensors":
        save_file(stored, path)
    else:
        torch.save(stored if key is None else {key: stored, "iteration": 7}, path)
    network = autocompress.load(path)
    assert network.config == EDSRConfig(2, 6, 2)
    for name, value in network.state_dict().items():
        assert torch.equal(value, expected[name])


def test_the_moving_average_is_preferred(tmp_path: Path) -> None:
    expected = weights()
    torch.save({"params": {k: v + 1 for k, v in expected.items()}, "params_ema": expected}, tmp_path / "both.pth")
    assert torch.equal(
        autocompress.load(tmp_path / "both.pth").state_dict()["conv_last.bias"], expected["conv_last.bias"]
    )


@settings(max_examples=10)
@given(configs)
def test_every_width_is_inferred(config: EDSRConfig) -> None:
    read = FAMILY.read(FAMILY.build(config).state_dict())
    assert read is not None
    assert read[0] == config


def without(tensors: dict[str, Tensor], module: str) -> dict[str, Tensor]:
    return {key: value for key, value in tensors.items() if not key.startswith(f"{module}.")}


@pytest.mark.parametrize(
    ("num_layer", "gone", "message"),
    [
        (2, "body.0.conv2", "2 blocks at x2, but body.0.conv2.bias is missing where (6,) is expected"),
        (3, "body.0.conv3", "2 blocks of 3 convolutions at x2, but body.0.conv3.bias is missing where (6,)"),
        (3, "body.1.conv2", "2 blocks of 3 convolutions at x2, but body.1.conv2.bias is missing where (6,)"),
    ],
)
def test_blocks_that_differ_are_refused(num_layer: int, gone: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(message)):
        FAMILY.read(without(weights(num_layer=num_layer), gone))


def test_a_folded_tail_is_recognised() -> None:
    tensors = weights(3, tail="folded")
    read = FAMILY.read(tensors)
    assert read is not None
    assert read[0] == EDSRConfig(3, 6, 2, tail="folded")
    tensors["upsample.2.weight"] = torch.ones(3, 1, 1, 1)
    with pytest.raises(CheckpointError, match=r"upsamples with convolutions of shape"):
        FAMILY.read(tensors)
    tensors = without(weights(tail="folded"), "body.1.conv1")
    with pytest.raises(CheckpointError, match=r"and 2 blocks with a folded tail at x2, but body\.1\.conv1"):
        FAMILY.read(tensors)


def test_no_block_has_four_convolutions() -> None:
    tensors = weights(num_layer=3)
    tensors["body.0.conv4.weight"] = torch.ones(6, 6, 3, 3)
    with pytest.raises(CheckpointError, match=r"body\.0\.conv4\.weight is \(6, 6, 3, 3\) where nothing is expected"):
        FAMILY.read(tensors)


def test_edsr_pytorch_has_two_convolutions_in_a_block(shared: Path) -> None:
    """Its block of one would be another network than ours, which has its ReLU in front."""
    tensors = golden(shared, "edsr_pytorch_keys_x2_f16_b4")["params"]
    for block in range(4):
        tensors = without(tensors, f"body.{block}.body.2")
    with pytest.raises(CheckpointError, match=r"body\.0\.conv2\.bias is missing"):
        FAMILY.read(tensors)


def test_reading_leaves_its_input_as_it_is(shared: Path) -> None:
    for name in GOLDEN:
        tensors = golden(shared, name)["params"]
        before = {key: value.clone() for key, value in tensors.items()}
        FAMILY.read(tensors)
        assert tensors.keys() == before.keys()
        assert all(torch.equal(tensors[key], before[key]) for key in before)


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    save_file({key: value.half() for key, value in weights().items()}, tmp_path / "half.safetensors")
    network = autocompress.load(tmp_path / "half.safetensors")
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}


Change = Callable[[dict[str, Tensor]], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("conv_last.bias"), "conv_last.bias is missing where (3,) is expected"),
        (lambda w: w.pop("body.1.conv1.weight"), "body.1.conv1.weight is missing where (6, 6, 3, 3) is expected"),
        (lambda w: w.update({"conv_last.scale": torch.ones(1)}), "conv_last.scale is (1,) where nothing is expected"),
        (lambda w: w.update({"conv_last.weight": torch.ones(3, 6, 5, 5)}), "(3, 6, 5, 5) where (3, 6, 3, 3)"),
        (lambda w: w.update({"conv_first.weight": torch.ones(6, 1, 3, 3)}), "reads 1-channel images, but only RGB"),
        (lambda w: w.update({"conv_first.weight": torch.ones(6)}), "conv_first.weight is (6,)"),
        (
            lambda w: w.update({"upsample.0.weight": torch.ones(150, 6, 3, 3)}),
            "(150, 6, 3, 3), which is no x2, x3 or x4",
        ),
        (lambda w: w.update({"upsample.0.weight": torch.ones(15, 6, 3, 3)}), "(15, 6, 3, 3), which is no x2, x3 or x4"),
        (lambda w: [w.pop(f"upsample.0.{leaf}") for leaf in ("weight", "bias")], "upsample.0.weight is missing"),
        (lambda w: w.update({"upsample.2.weight": w.pop("upsample.0.weight")}), "upsample.0.weight"),
        (lambda w: w.pop("conv_first.weight"), "belong to none of the families edsr"),
    ],
)
def test_what_cannot_be_read_says_what_was_found(tmp_path: Path, change: Change, message: str) -> None:
    tensors = weights()
    change(tensors)
    torch.save(tensors, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=re.escape(message)) as caught:
        autocompress.load(tmp_path / "odd.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'odd.pth'}: ")


def test_another_network_is_refused_with_some_of_its_keys(shared: Path, tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.ones(1), "classifier.bias": torch.ones(2)}, tmp_path / "vgg.pth")
    with pytest.raises(CheckpointError, match=r"2 tensors \(features\.0\.weight, classifier\.bias, \.\.\.\)"):
        autocompress.load(tmp_path / "vgg.pth")


def test_edsr_pytorch_of_another_mean_is_refused(shared: Path, tmp_path: Path) -> None:
    tensors = golden(shared, "edsr_pytorch_keys_x2_f16_b4")["params"]
    tensors["sub_mean.bias"] = torch.zeros(3)
    torch.save(tensors, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=r"sub_mean\.bias is \[0\.0, 0\.0, 0\.0\], but only DIV2K's mean shift"):
        autocompress.load(tmp_path / "odd.pth")
