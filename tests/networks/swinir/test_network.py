"""The SwinIR family: equal to the original implementation, and read from official files."""

import copy
from pathlib import Path

import pytest
import torch
from helpers.network_files import golden, official_shapes
from helpers.swinir_networks import FAMILY, TINY, images
from helpers.swinir_networks import random_swinir as network
from torch import Tensor

import autocompress
from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.networks.swinir.windows import (
    OFFICIAL_SEPARATED,
    SEPARATED,
    edge_masks,
    padded,
    position_index,
    shift_mask,
)

GOLDEN = {
    "swinir_x2_direct_d22_c24": SwinIRConfig(2, 24, (2, 2), (6, 6)),
    "swinir_x2_pixelshuffle_d22_c12": SwinIRConfig(2, 12, (2, 2), (2, 2), upsampler="pixelshuffle"),
    "swinir_x3_direct_d23_c12": SwinIRConfig(3, 12, (2, 3), (3, 3)),
    "swinir_x4_pixelshuffle_d2_c12": SwinIRConfig(4, 12, (2,), (3,), upsampler="pixelshuffle"),
}

BUFFERS = ("attn_mask", "relative_position_index")


def official(size: str, scale: int) -> SwinIRConfig:
    """The configuration of SwinIR-S or SwinIR-M."""
    return (
        SwinIRConfig(scale) if size == "s" else SwinIRConfig(scale, 180, (6,) * 6, (6,) * 6, upsampler="pixelshuffle")
    )


def without_buffers(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in tensors.items() if not key.endswith(BUFFERS)}


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
@pytest.mark.parametrize("scale", [2, *(pytest.param(scale, marks=pytest.mark.slow) for scale in (3, 4))])
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


def test_the_stream_stays_in_float32_where_layers_run_in_bf16() -> None:
    made, formats = network(TINY), []
    for name, module in made.named_modules():
        if "norm" in name.rsplit(".", 1)[-1]:
            module.register_forward_pre_hook(lambda _, inputs: formats.append(inputs[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        made(images(8, 12))
    assert formats
    assert set(formats) == {torch.float32}


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
