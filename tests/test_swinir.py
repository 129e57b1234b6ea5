"""The SwinIR family: equal to the original implementation, read from official files, counted exactly, shrunk."""

import copy
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import random_swinir as network
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import autocompress
from autocompress import checkpoints, cost, prune
from autocompress.errors import CheckpointError, ConfigError
from autocompress.export import export_network
from autocompress.families.base import digest
from autocompress.families.swinir import SwinIRFamily
from autocompress.families.swinir.network import SwinIRConfig
from autocompress.families.swinir.selection import Selection
from autocompress.families.swinir.windows import (
    OFFICIAL_SEPARATED,
    SEPARATED,
    edge_masks,
    padded,
    position_index,
    shift_mask,
)

FAMILY = SwinIRFamily()
SMALL, MINI = SwinIRConfig(2), SwinIRConfig(2, 24, (4, 4, 4), (6, 6, 6))
GOLDEN = {
    "swinir_x2_direct_d22_c24": SwinIRConfig(2, 24, (2, 2), (6, 6)),
    "swinir_x2_pixelshuffle_d22_c12": SwinIRConfig(2, 12, (2, 2), (2, 2), upsampler="pixelshuffle"),
    "swinir_x3_direct_d23_c12": SwinIRConfig(3, 12, (2, 3), (3, 3)),
    "swinir_x4_pixelshuffle_d2_c12": SwinIRConfig(4, 12, (2,), (3,), upsampler="pixelshuffle"),
}
BUFFERS = ("attn_mask", "relative_position_index")
TINY = SwinIRConfig(2, 12, (2, 3), (2, 3), window_size=4)
INITS = ("copy", "taylor")

block_counts = st.lists(st.tuples(st.integers(1, 3), st.sampled_from([1, 2, 3])), min_size=1, max_size=3)


@st.composite
def configs(draw: st.DrawFn) -> SwinIRConfig:
    depths, heads = zip(*draw(block_counts), strict=True)
    return SwinIRConfig(
        draw(st.sampled_from([2, 3, 4])),
        draw(st.sampled_from([6, 12, 18])),
        depths,
        heads,
        draw(st.sampled_from([2, 3, 4, 8])),
        draw(st.sampled_from([0.5, 1.0, 1.3, 2, 4.0])),
        draw(st.sampled_from(["pixelshuffledirect", "pixelshuffle"])),
    )


@cache
def golden(shared: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(shared / "golden" / f"{name}.pt", weights_only=True)
    return content


def official_shapes(shared: Path, name: str) -> dict[str, list[int]]:
    shapes: dict[str, list[int]] = json.loads((shared / "golden" / "official_keys.json").read_text())[name]
    return shapes


def official(size: str, scale: int) -> SwinIRConfig:
    """The configuration of SwinIR-S or SwinIR-M."""
    return (
        SwinIRConfig(scale) if size == "s" else SwinIRConfig(scale, 180, (6,) * 6, (6,) * 6, upsampler="pixelshuffle")
    )


def without_buffers(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in tensors.items() if not key.endswith(BUFFERS)}


def images(height: int, width: int, count: int = 1) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(height * width))


# --- equal to the original ---


@pytest.mark.parametrize("buffers", [True, False])
@pytest.mark.parametrize("name", GOLDEN)
def test_golden(shared: Path, tmp_path: Path, name: str, buffers: bool) -> None:
    content = golden(shared, name)
    torch.save(content["params"] if buffers else without_buffers(content["params"]), tmp_path / "official.pth")
    loaded = autocompress.load(tmp_path / "official.pth")
    assert (loaded.family, loaded.scale, loaded.training) == ("swinir", content["scale"], False)
    assert loaded.config == GOLDEN[name]
    for grad in (True, False):  # two ways to compute attention
        with torch.set_grad_enabled(grad):
            torch.testing.assert_close(loaded(content["x"]), content["y"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_buffers(shared: Path, name: str) -> None:
    content = golden(shared, name)["params"]
    mask = shift_mask(edge_masks(8, OFFICIAL_SEPARATED), 2, 2)
    for key, value in content.items():
        if key.endswith("relative_position_index"):
            assert torch.equal(value, position_index(8))
        if key.endswith("attn_mask"):
            assert torch.equal(value, mask)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", ["s", "m"])
def test_official_keys_and_shapes(shared: Path, size: str, scale: int) -> None:
    shapes, config = official_shapes(shared, f"swinir_{size}_x{scale}"), official(size, scale)
    with torch.device("meta"):
        ours = FAMILY.official_tensors(FAMILY.build(config))
    assert {key: list(value.shape) for key, value in ours.items()} == shapes
    integers = {key.rsplit(".", 1)[1] for key, value in ours.items() if value.dtype == torch.int64}
    assert integers == {"relative_position_index"}


@pytest.mark.parametrize("buffers", [True, False])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", ["s", "m"])
def test_official_files(shared: Path, size: str, scale: int, buffers: bool) -> None:
    shapes = official_shapes(shared, f"swinir_{size}_x{scale}")
    tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    found = FAMILY.read(tensors if buffers else without_buffers(tensors))
    assert found is not None
    config, weights = found
    assert config == official(size, scale)
    assert weights.keys() == without_buffers(tensors).keys()
    assert tensors.keys() == shapes.keys()  # the input is left as it is
    with torch.device("meta"):
        FAMILY.build(config).load_state_dict(tensors, strict=True)


def test_the_shift_mask_keeps_apart_what_was_not_near() -> None:
    side, height, width = 4, 8, 12
    place = torch.arange(height * width).view(height, width).roll((-2, -2), (0, 1))
    windows = place.view(2, side, 3, side).permute(0, 2, 1, 3).reshape(6, side**2)
    y, x = windows // width, windows % width
    near = ((y[:, :, None] - y[:, None]).abs() < side) & ((x[:, :, None] - x[:, None]).abs() < side)
    mask = shift_mask(FAMILY.build(TINY).edges, 2, 3)
    assert torch.equal(mask == 0, near)
    assert set(mask.unique().tolist()) == {SEPARATED, 0.0}


@pytest.mark.parametrize("upsampler", ["pixelshuffledirect", "pixelshuffle"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (3, 2), (5, 8), (4, 17), (13, 11), (16, 8)])
def test_any_size(height: int, width: int, upsampler: str) -> None:
    made = network(SwinIRConfig(3, 6, (2,), (2,), upsampler=upsampler))
    lr = images(height, width, count=2)
    with torch.no_grad():
        sr = made(lr)
        assert sr.shape == (2, 3, 3 * height, 3 * width)
        torch.testing.assert_close(sr, made(padded(lr, 8))[..., : 3 * height, : 3 * width])
    assert sr.isfinite().all()


def test_padding_reflects_as_often_as_it_takes() -> None:
    row = torch.arange(3.0).view(1, 1, 1, 3)
    assert padded(row, 8)[0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert padded(row, 8).shape == (1, 1, 8, 8)
    assert padded(row.mT, 8)[0, 0, :, 5].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert padded(torch.arange(6.0).view(1, 1, 1, 6).expand(1, 1, 2, 6), 4)[0, 0, 3].tolist() == [
        0,
        1,
        2,
        3,
        4,
        5,
        4,
        3,
    ]
    whole = images(8, 16)
    assert padded(whole, 8) is whole


def test_both_ways_to_attend_are_one() -> None:
    made, lr = network(TINY), images(8, 12, count=2)
    with torch.no_grad():
        fused = made(lr)
    torch.testing.assert_close(made(lr), fused, atol=1e-5, rtol=0)


@pytest.mark.parametrize("grad", [True, False])
def test_bf16(grad: bool) -> None:
    made, lr = network(TINY), images(9, 12)
    with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16):
        low = made(lr).float()
    assert (low - made(lr)).abs().max() < 0.1
    if grad:
        torch.autograd.backward(low.mean())
        assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())


def test_one_graph_without_breaks() -> None:
    made, lr = network(TINY), images(8, 12)
    graph = torch.compile(made, backend="eager", fullgraph=True)
    torch.testing.assert_close(graph(lr), made(lr))


def test_copies_are_independent_and_complete() -> None:
    made = network(TINY)
    other = copy.deepcopy(made)
    lr = images(8, 8)
    assert torch.equal(other(lr), made(lr))
    with torch.no_grad():
        other.conv_first.weight.zero_()
    assert not torch.equal(other(lr), made(lr))


# --- what it costs ---


def test_costs_are_those_of_the_literature() -> None:
    assert FAMILY.flops(SMALL) / 1e9 == pytest.approx(244.4, abs=0.05)
    assert FAMILY.params(SMALL) == 910_152
    assert FAMILY.flops(MINI) / 1e9 == pytest.approx(27.5, abs=0.05)
    assert FAMILY.params(MINI) == 98_868


@pytest.mark.parametrize("config", [SMALL, MINI])
def test_presets_are_counted_as_fvcore_does(config: SwinIRConfig) -> None:
    made = FAMILY.build(config)
    assert FAMILY.flops(config) == cost.count_flops(made, config.scale)
    assert FAMILY.params(config) == cost.count_params(made)


@settings(max_examples=8, deadline=None)
@given(configs(), st.booleans())
def test_closed_forms_equal_the_built_network(config: SwinIRConfig, grad: bool) -> None:
    made = FAMILY.build(config)
    with torch.set_grad_enabled(grad):
        assert FAMILY.flops(config) == cost.count_flops(made, config.scale, 2 * FAMILY.size_multiple(config))
    assert FAMILY.params(config) == cost.count_params(made)


# --- reading ---


@settings(max_examples=12, deadline=None)
@given(configs(), st.booleans())
def test_every_count_is_inferred(config: SwinIRConfig, buffers: bool) -> None:
    with torch.device("meta"):
        made = FAMILY.build(config)
        found = FAMILY.read(FAMILY.official_tensors(made) if buffers else made.state_dict())
    assert found is not None
    inferred = found[0]
    assert isinstance(inferred, SwinIRConfig)
    assert inferred.hidden_dim == config.hidden_dim
    assert {**inferred.to_dict(), "mlp_ratio": 0} == {**config.to_dict(), "mlp_ratio": 0}


def test_a_ratio_that_no_division_gives_is_still_inferred() -> None:
    assert int(49 * (1 / 49)) == 0
    found = FAMILY.read(FAMILY.build(SwinIRConfig(2, 49, (1,), (7,), 2, 0.03)).state_dict())
    assert found is not None
    assert getattr(found[0], "hidden_dim", None) == 1


@pytest.mark.parametrize("key", [None, "params", "params_ema"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrappers(tmp_path: Path, prefix: str, key: str | None) -> None:
    made = network(TINY)
    stored = {f"{prefix}{name}": value for name, value in FAMILY.official_tensors(made).items()}
    torch.save(stored if key is None else {key: stored}, tmp_path / "network.pth")
    assert digest(autocompress.load(tmp_path / "network.pth")) == digest(made)


@pytest.mark.parametrize("format", ["pth", "safetensors"])
@pytest.mark.parametrize("upsampler", ["pixelshuffledirect", "pixelshuffle"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_exports_come_back(tmp_path: Path, scale: int, upsampler: str, format: str) -> None:
    made = network(SwinIRConfig(scale, 12, (2, 1), (3, 2), 4, upsampler=upsampler))
    file = export_network(made, "student", tmp_path, format, {})
    stored = checkpoints.read_tensors(file)
    assert stored["layers.0.residual_group.blocks.0.attn.relative_position_index"].dtype == torch.int64
    lr = images(7, 9)
    for side_file in (True, False):
        if not side_file:
            file.with_suffix(".json").unlink()
        loaded = autocompress.load(file)
        assert loaded.config == made.config
        assert torch.equal(loaded(lr), made(lr))


def test_the_side_file_states_the_costs(tmp_path: Path) -> None:
    made = network(TINY)
    side = json.loads(export_network(made, "s", tmp_path, "pth", {}).with_suffix(".json").read_text())
    assert (side["flops"], side["params"]) == (FAMILY.flops(TINY), FAMILY.params(TINY))


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_spandrel_recognises_an_export(tmp_path: Path) -> None:
    spandrel = pytest.importorskip("spandrel", reason="spandrel is not installed")
    made = network(MINI)
    file = export_network(made, "student", tmp_path, "pth", {})
    theirs = spandrel.ModelLoader(device="cpu").load_from_file(file)
    assert (theirs.architecture.id, theirs.scale) == ("SwinIR", 2)
    lr = images(17, 30)
    with torch.no_grad():
        torch.testing.assert_close(theirs.model.eval()(lr), made(lr), atol=1e-4, rtol=0)


Change = Callable[[dict[str, Tensor]], object]
BLOCK = "layers.0.residual_group.blocks.0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.update({"conv_up1.weight": torch.ones(1)}), "upsamples by nearest+conv (conv_up1.weight)"),
        (lambda w: w.update({"layers.0.conv.0.weight": w.pop("layers.0.conv.weight")}), "resi_connection 3conv"),
        (lambda w: w.update({"conv_after_body.0.weight": w.pop("conv_after_body.weight")}), "resi_connection 3conv"),
        (lambda w: [w.pop(f"upsample.0.{leaf}") for leaf in ("weight", "bias")], "has no upsample.0.weight"),
        (lambda w: w.update({"conv_first.weight": torch.ones(12, 1, 3, 3)}), "reads 1-channel images, but only RGB"),
        (lambda w: w.update({"conv_first.weight": torch.ones(12)}), "conv_first.weight is (12,)"),
        (lambda w: w.pop("conv_first.weight"), "conv_first.weight is missing"),
        (lambda w: w.update({"upsample.0.weight": torch.ones(15, 12, 3, 3)}), "(15, 12, 3, 3), which is no x2, x3 or"),
        (lambda w: w.update({"upsample.0.weight": torch.ones(192, 12, 3, 3)}), "(192, 12, 3, 3), which is no x2"),
        (lambda w: w.pop(f"{BLOCK}.mlp.fc1.weight"), "mlp.fc1.weight is missing"),
        (lambda w: w.pop(f"{BLOCK}.attn.qkv.bias"), "attn.qkv.bias is missing where (36,) is expected"),
        (lambda w: w.update({"absolute_pos_embed": torch.ones(1)}), "absolute_pos_embed is (1,) where nothing is"),
        (lambda w: w.update({f"{BLOCK}.attn.relative_position_bias_table": torch.ones(50, 2)}), "has 50 rows"),
        (
            lambda w: w.update({f"{BLOCK}.attn.relative_position_bias_table": torch.ones(49, 5)}),
            "multiple of num_heads",
        ),
        (lambda w: w.update({"layers.7.conv.bias": torch.ones(12)}), "layers.2.residual_group.blocks.0"),
        (lambda w: w.pop("patch_embed.norm.weight"), "belong to none of the families"),
    ],
)
def test_what_cannot_be_read_says_what_was_found(tmp_path: Path, change: Change, message: str) -> None:
    tensors = dict(FAMILY.official_tensors(network(TINY)))
    change(tensors)
    torch.save(tensors, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=re.escape(message)) as caught:
        autocompress.load(tmp_path / "odd.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'odd.pth'}: ")


def test_residual_scaling_is_not_ignored(tmp_path: Path) -> None:
    torch.save(network(TINY).state_dict(), tmp_path / "s.pth")
    with pytest.raises(CheckpointError, match=r"res_scale 0\.1 was given, but this is a SwinIR, which has none"):
        autocompress.load(tmp_path / "s.pth", res_scale=0.1)


def test_other_networks_are_none(shared: Path) -> None:
    assert FAMILY.read({"features.0.weight": torch.ones(1)}) is None
    assert FAMILY.read(torch.load(shared / "golden" / "edsr_x2_f16_b4.pt", weights_only=True)["params"]) is None


# --- config ---


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scale": 8}, "scale is 8, but SwinIR upscales by 2, 3 or 4"),
        ({"upsampler": "nearest+conv"}, "upsampler is 'nearest+conv', but must be one of pixelshuffledirect, pixel"),
        ({"embed_dim": 0}, "embed_dim is 0, but must be a whole number >= 1"),
        ({"embed_dim": 6.0}, "embed_dim is 6.0, but must be a whole number"),
        ({"embed_dim": 20}, "embed_dim is 20, but must be a multiple of num_heads, which is 6"),
        ({"window_size": 1}, "window_size is 1, but must be a whole number >= 2"),
        ({"depths": ()}, "depths is (), but must be one whole number for each"),
        ({"depths": [2, 2]}, "depths is [2, 2], but must be"),
        ({"depths": (2, 0, 2, 2)}, "depths is 0, but must be a whole number >= 1"),
        ({"num_heads": (6, True, 6, 6)}, "num_heads is True, but must be a whole number"),
        ({"depths": (6, 6)}, "depths is (6, 6) and num_heads (6, 6, 6, 6), but both"),
        ({"mlp_ratio": 0.01}, "mlp_ratio is 0.01, but must be"),
        ({"mlp_ratio": "2"}, "mlp_ratio is '2', but must be"),
        ({"mlp_ratio": float("nan")}, "mlp_ratio is nan, but must be"),
    ],
)
def test_configs_are_checked(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        SwinIRConfig(**{"scale": 2, **fields})


@settings(max_examples=30)
@given(configs())
def test_configs_survive_json(config: SwinIRConfig) -> None:
    assert SwinIRConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_students_are_not_larger_than_their_teacher() -> None:
    mini = {"embed_dim": 24, "num_block": 3, "depth": 4, "num_heads": 6, "mlp_ratio": 2}
    assert FAMILY.student_config(SMALL, mini) == MINI
    assert FAMILY.student_config(SMALL, {}) == SMALL
    assert FAMILY.student_config(SMALL, {"depth": 2}) == SwinIRConfig(2, 60, (2,) * 4)
    uneven = SwinIRConfig(2, 12, (2, 3), (2, 3))
    assert FAMILY.student_config(uneven, {"embed_dim": 6}).to_dict()["depths"] == [2, 3]
    for field, value, limit in (("embed_dim", 66, 60), ("num_block", 5, 4), ("depth", 7, 6), ("mlp_ratio", 3, 2)):
        with pytest.raises(ConfigError, match=rf"{field} is {value}, but a student of this teacher has 1 to {limit}"):
            FAMILY.student_config(SMALL, {field: value})
    for field in ("num_block", "depth", "num_heads"):
        with pytest.raises(ConfigError):
            FAMILY.student_config(SMALL, {field: 0})


def test_counts_and_size() -> None:
    assert FAMILY.counts_of(MINI) == {"embed_dim": 24, "num_block": 3, "depth": 4, "num_heads": 6, "mlp_ratio": 2}
    assert FAMILY.counts_of(MINI).keys() == {count.field for count in FAMILY.counts}
    assert FAMILY.size_multiple(TINY) == 4


# --- shrinking: the controls ---


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("upsampler", ["pixelshuffledirect", "pixelshuffle"])
def test_the_full_size_computes_what_the_teacher_does(init: str, upsampler: str) -> None:
    teacher = network(SwinIRConfig(3, 12, (2, 3), (2, 3), 4, upsampler=upsampler))
    student = prune.shrink(teacher, teacher.config, images(24, 24, count=2), init)
    lr = images(11, 9)
    torch.testing.assert_close(student(lr), teacher(lr), atol=1e-5, rtol=0)
    assert student is not teacher
    assert all(p.requires_grad and p.grad is None for p in teacher.parameters())


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize(
    "fields",
    [
        {"embed_dim": 6, "num_block": 1, "depth": 1, "num_heads": 1, "mlp_ratio": 1},
        {"embed_dim": 12, "num_heads": 1},  # heads wider than the teacher's
        {"embed_dim": 6, "num_heads": 2, "depth": 2},
        {"mlp_ratio": 0.5},
    ],
)
def test_students_have_the_shapes_of_their_config(init: str, fields: dict[str, Any]) -> None:
    teacher = network(SwinIRConfig(2, 12, (2, 2), (2, 2), 4))
    config = FAMILY.student_config(teacher.config, {**fields, "mlp_ratio": max(fields.get("mlp_ratio", 2), 1)})
    student, again = (prune.shrink(teacher, config, images(16, 16, count=2), init) for _ in range(2))
    assert student.config == config
    assert not student.training
    assert digest(student) == digest(again)
    assert student(images(9, 5)).isfinite().all()


@pytest.mark.parametrize("keep", [1, 2])
def test_dead_parts_are_the_ones_that_go(keep: int) -> None:
    """Whatever of a teacher does nothing can be left out without any change."""
    teacher = network(SwinIRConfig(2, 12, (2, 2, 2), (3, 3, 3), 4))
    with torch.no_grad():
        for name, parameter in teacher.named_parameters():
            if name.startswith("layers.1."):
                parameter.zero_()  # adds nothing to the stream
            if name.endswith("attn.qkv.weight"):
                parameter.view(3, 3, 4, 12)[:, keep] = 0
            if name.endswith("attn.qkv.bias"):
                parameter.view(3, 3, 4)[:, keep] = 0
            if name.endswith("attn.proj.weight"):
                parameter.view(12, 3, 4)[:, keep] = 0
            if name.endswith("table"):
                parameter[:, keep] = 0
            if name.endswith(("fc1.weight", "fc1.bias")):
                parameter[::2] = 0
            if name.endswith("fc2.weight"):
                parameter[:, ::2] = 0
    config = SwinIRConfig(2, 12, (2, 2), (2, 2), 4, mlp_ratio=1)
    student = Selection(teacher, SwinIRFamily().analyse(teacher, images(16, 16), "copy", 0))(config)
    lr = images(8, 13)
    torch.testing.assert_close(student(lr), teacher(lr), atol=1e-5, rtol=0)


def test_narrower_heads_keep_their_scores() -> None:
    """Channels of queries, keys and values that are 0 can go, though scores are divided by another root."""
    teacher = network(SwinIRConfig(2, 12, (2,), (2,), 4))
    dead = torch.tensor([0, 2, 5])
    with torch.no_grad():
        for layer in teacher.layers[0].residual_group.blocks:
            layer.attn.qkv.weight.view(3, 2, 6, 12)[:, :, dead] = 0
            layer.attn.qkv.bias.view(3, 2, 6)[:, :, dead] = 0
            layer.attn.proj.weight.view(12, 2, 6)[:, :, dead] = 0
    selection = Selection(teacher, SwinIRFamily().analyse(teacher, images(16, 16), "copy", 0))
    student = selection(SwinIRConfig(2, 6, (2,), (2,), 4))
    stream = selection.stream.topk(6).indices.sort().values
    ours, theirs = (net.layers[0].residual_group.blocks[1].attn for net in (student, teacher))
    with torch.no_grad():
        x = torch.zeros(1, 4, 4, 12)
        x[..., stream] = torch.randn(1, 4, 4, 6)
        torch.testing.assert_close(ours(x[..., stream], None), theirs(x, None)[..., stream], atol=1e-5, rtol=0)


def test_what_wider_heads_get_can_learn() -> None:
    teacher = network(SwinIRConfig(2, 12, (2,), (2,), 4))
    student = prune.shrink(teacher, SwinIRConfig(2, 12, (2,), (1,), 4), images(16, 16), "copy")
    torch.autograd.backward(student(images(8, 8)).square().mean())
    attention = student.layers[0].residual_group.blocks[0].attn
    assert (attention.qkv.weight.grad.view(3, 12, 12)[0].abs().sum(1) > 0).all()
    assert (attention.proj.weight.grad.abs().sum(0) > 0).all()
