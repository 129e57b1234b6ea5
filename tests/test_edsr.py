"""The EDSR family: equal to the original implementation, read from every kind of file, counted exactly."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fvcore_total
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

import autocompress
from autocompress import checkpoints, cost
from autocompress.cli.tables import shape
from autocompress.errors import CheckpointError, ConfigError
from autocompress.export import export_network
from autocompress.families import FAMILIES, find_family
from autocompress.families.base import digest
from autocompress.families.edsr import EDSRFamily
from autocompress.families.edsr.network import EDSR, EDSRConfig
from autocompress.teachers import load_teacher

FAMILY = EDSRFamily()
GOLDEN = ["edsr_x2_f16_b4", "edsr_x3_f8_b2", "edsr_x4_f16_b3_res0.1", "edsr_pytorch_keys_x2_f16_b4"]

configs = st.builds(
    EDSRConfig,
    scale=st.sampled_from([2, 3, 4]),
    num_feat=st.integers(1, 9),
    num_block=st.integers(1, 4),
    num_layer=st.integers(1, 3),
)


def golden(shared: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(shared / "golden" / f"{name}.pt", weights_only=True)
    return content


def weights(scale: int = 2, num_feat: int = 6, num_block: int = 2, num_layer: int = 2) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(FAMILY.build(EDSRConfig(scale, num_feat, num_block, num_layer)).state_dict())


# --- equal to the original ---


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
    official = json.loads((shared / "golden" / "official_keys.json").read_text())[f"{name}_x{scale}"]
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


# --- what it costs ---


def test_baseline_costs_what_the_literature_says() -> None:
    assert FAMILY.flops(EDSRConfig(2)) / 1e9 == pytest.approx(316.25, abs=0.005)
    assert FAMILY.params(EDSRConfig(2)) == 1_369_859
    assert FAMILY.flops(EDSRConfig(2, 16, 8)) / 1e9 == pytest.approx(11.65, abs=0.005)
    assert FAMILY.params(EDSRConfig(2, 16, 8)) == 49_603
    for num_layer in (1, 3):  # the same convolutions in blocks of other sizes
        assert FAMILY.flops(EDSRConfig(2, 16, 6 // num_layer, num_layer)) == FAMILY.flops(EDSRConfig(2, 16, 3))
        assert FAMILY.params(EDSRConfig(2, 16, 6 // num_layer, num_layer)) == FAMILY.params(EDSRConfig(2, 16, 3))


@settings(max_examples=15, deadline=None)
@given(configs)
def test_closed_forms_equal_the_built_network(config: EDSRConfig) -> None:
    network = FAMILY.build(config)
    per_pixel = round(fvcore_total(network, torch.zeros(1, 3, 6, 5))) // 30
    assert FAMILY.flops(config) == round(per_pixel * 1280 * 720 / config.scale**2)
    assert FAMILY.flops(config) == cost.count_flops(network, config.scale, side=12)
    assert FAMILY.params(config) == sum(parameter.numel() for parameter in network.parameters())


# --- reading ---


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


@settings(max_examples=10, deadline=None)
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
        (lambda w: [w.pop(f"upsample.0.{leaf}") for leaf in ("weight", "bias")], "has no upsample.0.weight"),
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


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_a_pickle_that_would_run_code_is_refused_unrun(tmp_path: Path) -> None:
    torch.save({"params": weights(), "bomb": Bomb(tmp_path / "ran")}, tmp_path / "bomb.pth")
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


# --- our own files ---


def store(path: Path, network: EDSR) -> None:
    checkpoints.save_tensors(path, network.state_dict())
    checkpoints.write_json(path.with_suffix(".json"), {"family": "edsr", "config": network.config.to_dict()})


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


# --- config, export ---


@pytest.mark.parametrize("num_layer", [1, 2, 3])
def test_for_export_folds_residual_scaling(num_layer: int) -> None:
    network = FAMILY.build(EDSRConfig(2, 6, 3, num_layer, res_scale=0.1)).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    plain = FAMILY.for_export(network)
    assert plain.config == EDSRConfig(2, 6, 3, num_layer)
    lr = torch.rand(2, 3, 9, 8)
    torch.testing.assert_close(plain(lr), network(lr), atol=1e-6, rtol=0)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_configs_are_checked() -> None:
    for fields, message in (
        ({"scale": 8}, "scale is 8, but EDSR upscales by 2, 3 or 4"),
        ({"scale": 2, "num_feat": 0}, "num_feat is 0, but must be a whole number >= 1"),
        ({"scale": 2, "num_block": -1}, "num_block is -1, but must be a whole number >= 1"),
        ({"scale": 2, "num_layer": 0}, "num_layer is 0, but must be a whole number from 1 to 3"),
        ({"scale": 2, "num_layer": 4}, "num_layer is 4, but must be a whole number from 1 to 3"),
        ({"scale": 2, "num_layer": 2.0}, "num_layer is 2.0, but must be a whole number from 1 to 3"),
    ):
        with pytest.raises(ConfigError, match=message):
            EDSRConfig(**fields)
    with pytest.raises(ConfigError, match="has no field 'depth'; its fields are scale, num_feat"):
        EDSRConfig.from_dict({"scale": 2, "depth": 3})
    for num_layer in (1, 2, 3):
        config = EDSRConfig(4, 5, 6, num_layer, 0.5)
        assert EDSRConfig.from_dict(config.to_dict()) == config


def test_an_ordinary_network_is_described_as_ever() -> None:
    """What was written, hashed and told before there were other numbers of convolutions stays the same."""
    assert EDSRConfig(2).to_dict() == {"scale": 2, "num_feat": 64, "num_block": 16, "res_scale": 1.0}
    assert EDSRConfig(2, num_layer=3).to_dict()["num_layer"] == 3
    assert digest(load_teacher("edsr-baseline-x2")) == "1d978244184d1451f454a11cf6018573"
    assert shape("edsr", EDSRConfig(2, 16, 8).to_dict()) == "edsr num_feat=16 num_block=8"
    assert shape("edsr", EDSRConfig(2, 16, 8, 3).to_dict()) == "edsr num_feat=16 num_block=8 num_layer=3"


def test_students_are_not_larger_than_their_teacher() -> None:
    teacher = EDSRConfig(2, 16, 4, res_scale=0.1)
    assert FAMILY.student_config(teacher, {"num_feat": 8}) == EDSRConfig(2, 8, 4)
    with pytest.raises(ConfigError, match="num_feat is 17, but a student of this teacher has 1 to 16 features"):
        FAMILY.student_config(teacher, {"num_feat": 17})
    with pytest.raises(ConfigError, match="num_layer is 4"):
        FAMILY.student_config(teacher, {"num_layer": 4})


def test_students_may_have_more_convolutions_in_a_block_than_their_teacher() -> None:
    one, two = EDSRConfig(2, 16, 4, 1), EDSRConfig(2, 16, 4)
    assert FAMILY.student_config(two, {"num_layer": 3}) == EDSRConfig(2, 16, 4, 3)
    assert FAMILY.student_config(one, {"num_feat": 8}) == EDSRConfig(2, 8, 4, 1)
    assert FAMILY.limits(one) == {"num_feat": 16, "num_block": 4, "num_layer": 3}


def test_families_are_found_by_name() -> None:
    assert find_family("edsr") is FAMILIES["edsr"]
    with pytest.raises(ConfigError, match="no family is called 'unet'; known: edsr, swinir"):
        find_family("unet")
