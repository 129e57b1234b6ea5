"""PSNR and SSIM against scikit-image and against published values of bicubic upscaling."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import metrics as skimage_metrics
from skimage.color import rgb2ycbcr

from autocompress.data.bicubic import upscale
from autocompress.data.folders import open_folder
from autocompress.errors import InvalidInput
from autocompress.evaluation import metrics
from autocompress.evaluation.metrics import psnr_rgb, psnr_y, psnr_y_edge, rgb_to_y, ssim_rgb, ssim_y

reference: Any = skimage_metrics  # has no types
Metric = Callable[[NDArray[np.uint8], NDArray[np.uint8], int], float]
ALL: list[Metric] = [psnr_y, psnr_rgb, ssim_y, ssim_rgb]


def two_images(height: int, width: int, seed: int, noise: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    hr = 127 + 90 * np.sin(y[..., None] / 5 + [0, 1, 2]) * np.cos(x[..., None] / 7)
    sr = hr + rng.normal(0, noise, hr.shape)
    return np.clip(sr, 0, 255).astype(np.uint8), np.clip(hr, 0, 255).astype(np.uint8)


def inner(image: NDArray[np.generic], border: int) -> NDArray[np.generic]:
    return image[border : len(image) - border, border : image.shape[1] - border]


sizes = st.integers(20, 48)
cases = given(sizes, sizes, st.integers(0, 99), st.floats(0.5, 60), st.integers(0, 4))


@settings(max_examples=25)
@cases
def test_equal_to_scikit_image(height: int, width: int, seed: int, noise: float, border: int) -> None:
    sr, hr = two_images(height, width, seed, noise)
    luma = [inner(rgb2ycbcr(image)[:, :, 0], border) for image in (sr, hr)]
    colour = [inner(image, border) for image in (sr, hr)]
    gaussian = {"data_range": 255, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    assert ssim_y(sr, hr, border) == pytest.approx(reference.structural_similarity(*luma, **gaussian), abs=1e-9)
    ours, theirs = (
        ssim_rgb(sr, hr, border),
        reference.structural_similarity(*colour, channel_axis=2, **gaussian),
    )
    assert ours == pytest.approx(theirs, abs=1e-9)
    assert psnr_y(sr, hr, border) == pytest.approx(reference.peak_signal_noise_ratio(*luma, data_range=255), abs=1e-9)
    assert psnr_rgb(sr, hr, border) == pytest.approx(
        reference.peak_signal_noise_ratio(*colour, data_range=255), abs=1e-9
    )


@pytest.mark.parametrize(("scale", "published"), [(2, 33.66), (3, 30.39), (4, 28.42)])
def test_published_psnr_of_bicubic_on_set5(shared: Path, scale: int, published: float) -> None:
    source = open_folder(shared / "data/benchmark/Set5", scale, min_size=96)
    pairs = [source.read(index) for index in range(len(source))]
    assert all(file.lr for file in source.files)
    assert len(pairs) == 5
    scores = [psnr_y(upscale(pair.lr, scale), pair.hr, scale) for pair in pairs]
    assert np.mean(scores) == pytest.approx(published, abs=0.02)


def test_published_ssim_of_bicubic_on_set5(shared: Path) -> None:
    source = open_folder(shared / "data/benchmark/Set5", 2, min_size=96)
    pairs = [source.read(index) for index in range(len(source))]
    assert np.mean([ssim_y(upscale(pair.lr, 2), pair.hr, 2) for pair in pairs]) == pytest.approx(0.9299, abs=0.0005)


def test_luma_in_studio_range() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_allclose(rgb_to_y(colours), [[16, 235, 81.481, 144.553, 40.966]], rtol=0, atol=1e-9)


def test_equal_images() -> None:
    image, _ = two_images(20, 30, 0, 1)
    assert psnr_y(image, image, 2) == psnr_rgb(image, image, 0) == math.inf
    assert ssim_y(image, image, 2) == pytest.approx(1)
    assert ssim_rgb(image, image, 2) == pytest.approx(1)


@pytest.mark.parametrize("metric", ALL)
def test_border_is_left_out(metric: Metric) -> None:
    sr, hr = two_images(30, 40, 0, 9)
    spoiled = sr.copy()
    spoiled[:3], spoiled[-3:], spoiled[:, :3], spoiled[:, -3:] = 0, 0, 0, 0
    assert metric(spoiled, hr, 3) == metric(sr, hr, 3)
    assert metric(spoiled, hr, 2) < metric(sr, hr, 2)
    assert metric(spoiled, hr, 0) < metric(sr, hr, 0)


@pytest.mark.parametrize("metric", ALL)
def test_what_cannot_be_compared(metric: Metric) -> None:
    sr, hr = two_images(30, 40, 0, 9)
    with pytest.raises(InvalidInput, match=r"\(30, 39\) and \(30, 40\) pixels cannot be compared"):
        metric(sr[:, :-1], hr, 2)
    with pytest.raises(InvalidInput, match="float64"):
        metric(sr / 255, hr, 2)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"\(30, 40\)"):
        metric(sr[:, :, 0], hr, 2)
    for border in (-1, 15):
        with pytest.raises(InvalidInput, match=f"border of {border} pixels cannot be left out of .* 40x30"):
            metric(sr, hr, border)


def test_ssim_needs_room_for_its_window() -> None:
    sr, hr = two_images(14, 40, 0, 9)
    assert 0 < ssim_y(sr, hr, 1) < 1
    with pytest.raises(InvalidInput, match="SSIM needs at least 11x11 pixels inside the border, but there are 36x10"):
        ssim_y(sr, hr, 2)


def test_the_edge_is_what_the_score_leaves_out() -> None:
    sr, hr = two_images(30, 40, 0, 5.0)
    inside = sr.copy()
    inside[2:-2, 2:-2] = hr[2:-2, 2:-2]
    assert psnr_y_edge(inside, hr, 2) == psnr_y_edge(sr, hr, 2)
    assert math.isinf(psnr_y(inside, hr, 2))
    outside = hr.copy()
    outside[2:-2, 2:-2] = sr[2:-2, 2:-2]
    assert psnr_y_edge(outside, hr, 2) == 100
    border, whole = 26 * 36, 30 * 40
    errors = [10 ** (-psnr / 10) for psnr in (psnr_y(sr, hr, 2), psnr_y_edge(sr, hr, 2), psnr_y(sr, hr, 0))]
    assert errors[0] * border + errors[1] * (whole - border) == pytest.approx(errors[2] * whole)


@pytest.mark.parametrize("strip", [1, 100, 400, 1000, 2000])
@pytest.mark.parametrize("metric", [*ALL, psnr_y_edge])
def test_in_strips_it_is_the_same(metric: Metric, strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one row, of some, with a rest, and of all."""
    for height, width, border in ((47, 40, 3), (48, 40, 2), (19, 40, 4)):
        sr, hr = two_images(height, width, 1, 9.0)
        whole = metric(sr, hr, border)
        with monkeypatch.context() as patch:
            patch.setattr(metrics, "STRIP", strip)
            assert metric(sr, hr, border) == pytest.approx(whole, rel=1e-12)


@pytest.mark.slow
def test_a_large_image_takes_little_memory() -> None:
    """Of 16 megapixels, all that is computed takes 4.6 GB at once: in strips it is what four of them take."""
    resource = pytest.importorskip("resource")
    hr = np.zeros((4096, 4096, 3), np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ssim_rgb(hr, hr, 2)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 1.9e9
