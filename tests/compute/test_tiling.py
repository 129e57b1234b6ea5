"""Upscaling tile by tile: equal to the whole image, within the memory of a tile."""

import numpy as np
import pytest
import torch
from helpers.swinir_networks import random_swinir
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from autocompress.compute.tiling import Tiling
from autocompress.data.embedded import embedded
from autocompress.errors import CheckpointError, InvalidInput
from autocompress.evaluation.scores import network_upscaler
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig
from autocompress.networks.teachers import load_teacher
from autocompress.networks.upscaling import MIN_TILE, tiling, used_tiling

Image = NDArray[np.uint8]


def photograph(height: int, width: int) -> Image:
    image = embedded("valid", 2).read(1).lr[:height, :width]
    assert image.shape == (height, width, 3)
    return image


def random_edsr(config: EDSRConfig) -> EDSR:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return EDSR(config).eval()


def psnr(a: Image, b: Image) -> float:
    mse = np.square(a.astype(float) - b).mean()
    return float(10 * np.log10(255**2 / max(mse, 1e-9)))


def sizes_seen(network: SRNetwork) -> list[tuple[int, int]]:
    """Grows by the size of each input."""
    seen: list[tuple[int, int]] = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[2:])))
    return seen


# --- where tiles lie ---


@given(st.integers(1, 300), st.integers(1, 90), st.integers(0, 40), st.sampled_from([1, 2, 7, 8]))
def test_tiles_cover_a_side_once_and_lie_on_the_grid(size: int, tile: int, margin: int, multiple: int) -> None:
    spans = Tiling(tile, margin, multiple).spans(size)
    own = [range(size)[span.own] for span in spans]
    assert [pixel for part in own for pixel in part] == list(range(size))
    for span, part in zip(spans, own, strict=True):
        assert 0 < len(part) <= tile
        assert span.seen.start <= max(0, part.start - margin)
        assert span.seen.stop >= min(size, part.stop + margin)
        assert span.seen.start % multiple == 0
        assert span.seen.stop % multiple == 0 or span.seen.stop == size
        assert span.seen.stop - span.seen.start <= tile + 2 * (margin + multiple - 1)


def test_progress_is_told_after_each_tile() -> None:
    tiles, told = Tiling(8, 2), []
    whole = tiles.upscale(lambda seen: seen, torch.zeros(20, 9, 3, dtype=torch.uint8), 1, lambda: told.append(1))
    assert whole.shape == (20, 9, 3)
    assert len(told) == tiles.count(20, 9) == 6


# --- EDSR ---


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("height", "width", "tile"), [(96, 96, 32), (97, 70, 32), (40, 129, 64), (33, 34, 48)])
def test_edsr_on_tiles_is_equal(scale: int, height: int, width: int, tile: int) -> None:
    network, image = random_edsr(EDSRConfig(scale, 12, 3)), photograph(height, width)
    assert np.array_equal(network_upscaler(network, tile)(image), network_upscaler(network)(image))


@pytest.mark.slow
def test_the_shipped_edsr_on_tiles_is_equal() -> None:
    network, image = load_teacher("edsr-baseline-x2"), photograph(130, 97)
    assert np.array_equal(network_upscaler(network, 64)(image), network_upscaler(network)(image))


@pytest.mark.parametrize("tail", ["plain", "folded"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_margin_of_edsr_is_as_far_as_a_pixel_sees(scale: int, tail: str) -> None:
    network = random_edsr(EDSRConfig(scale, 8, 2, tail=tail)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()  # nothing cancels and no ReLU closes
    lr = torch.full((1, 3, 41, 41), 0.9, dtype=torch.float64, requires_grad=True)
    own = network(lr)[..., 20 * scale : 21 * scale, 20 * scale : 21 * scale]
    [gradient] = torch.autograd.grad(own.sum(), lr)
    seen = gradient[0].sum(0).sum(0).nonzero().flatten()
    assert (int(seen.min()), int(seen.max())) == (20 - network.margin, 20 + network.margin)
    assert EDSR(EDSRConfig(2)).margin == 36  # EDSR-baseline


# --- SwinIR ---


@pytest.mark.slow
def test_swinir_on_tiles_looks_the_same() -> None:
    network, image = load_teacher("swinir-s-x2"), photograph(73, 104)
    assert psnr(network_upscaler(network, 64)(image), network_upscaler(network)(image)) > 80


@pytest.mark.parametrize(
    ("window", "upsampler"),
    [
        (7, "pixelshuffledirect"),
        (8, "pixelshuffle"),
        *(
            pytest.param(window, upsampler, marks=pytest.mark.slow)
            for window, upsampler in (
                (4, "pixelshuffledirect"),
                (8, "pixelshuffledirect"),
                (4, "pixelshuffle"),
                (7, "pixelshuffle"),
            )
        ),
    ],
)
def test_swinir_on_tiles_is_equal_where_it_sees_no_further_than_the_margin(window: int, upsampler: str) -> None:
    network = random_swinir(SwinIRConfig(2, 12, (2,), (3,), window_size=window, upsampler=upsampler))
    image = photograph(67, 85)
    whole = network_upscaler(network)(image).astype(int)
    for tile in (33, 64):  # no multiple of a window
        assert np.abs(network_upscaler(network, tile)(image) - whole).max() <= 1
    off_the_grid = Tiling(33, tiling(network, 33).margin + 1, multiple=1)
    with torch.inference_mode():
        other = off_the_grid.upscale(network, torch.from_numpy(image), 2).numpy()
    assert np.abs(other - whole).max() > 1


@pytest.mark.parametrize("window", [2, 7, 8, 16, 48])
def test_the_margin_of_swinir_is_whole_windows(window: int) -> None:
    network = SwinIR(SwinIRConfig(2, 6, (1,), (1,), window_size=window))
    used = tiling(network, 64)
    assert used.multiple == window
    assert used.margin % window == 0
    assert used.margin >= 32


# --- memory ---


@pytest.mark.parametrize("network", [random_edsr(EDSRConfig(2, 4, 1)), random_swinir(SwinIRConfig(2, 6, (1,), (1,)))])
def test_no_input_is_larger_than_a_tile_and_its_margins(network: SRNetwork) -> None:
    seen, used = sizes_seen(network), tiling(network, MIN_TILE)
    network_upscaler(network, MIN_TILE)(photograph(256, 256))
    assert len(seen) == used.count(256, 256) == 64
    limit = MIN_TILE + 2 * (used.margin + used.multiple - 1)
    assert max(max(size) for size in seen) <= limit


def test_only_large_images_are_tiled_by_default() -> None:
    network = random_edsr(EDSRConfig(2, 1, 1))
    seen = sizes_seen(network)
    network_upscaler(network)(np.zeros((400, 600, 3), np.uint8))
    assert seen == [(400, 600)]
    network_upscaler(network)(np.zeros((513, 512, 3), np.uint8))
    assert len(seen) == 1 + 3 * 2
    assert max(max(size) for size in seen[1:]) < 300


def test_default_tiles_are_larger_for_networks_that_see_far() -> None:
    assert used_tiling(random_edsr(EDSRConfig(2, 16, 8)), 4000, 6000).tile == 256
    assert used_tiling(load_teacher("edsr-baseline-x2"), 4000, 6000).tile == 512
    assert used_tiling(load_teacher("edsr-baseline-x2"), 400, 600).tile == 600


@pytest.mark.parametrize("tile", [-1, 0, 31])
def test_a_tile_too_small(tile: int) -> None:
    with pytest.raises(InvalidInput, match=f"tile is {tile}, but must be at least 32 LR pixels"):
        network_upscaler(random_edsr(EDSRConfig(2, 1, 1)), tile)


def test_an_image_of_one_pixel() -> None:
    for network in (random_edsr(EDSRConfig(3, 4, 1)), random_swinir(SwinIRConfig(3, 6, (1,), (1,)))):
        assert network_upscaler(network, 32)(np.zeros((1, 1, 3), np.uint8)).shape == (3, 3, 3)


def identity(seen: Tensor) -> Tensor:
    return seen


def test_what_is_put_together_is_the_image() -> None:
    image = torch.from_numpy(photograph(77, 50).copy())
    assert torch.equal(Tiling(16, 5, 4).upscale(identity, image, 1), image)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_no_picture(value: float) -> None:
    """Weights may be finite, and what they compute not."""
    network = random_edsr(EDSRConfig(2, 4, 1))
    with torch.no_grad():
        network.conv_last.bias.fill_(value)
    with pytest.raises(CheckpointError, match="makes values of an image that are not finite"):
        network_upscaler(network)(photograph(16, 16))
