"""MATLAB's bicubic: the released LR files bit for bit, and a direct, slow computation in floating point."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autocompress.data.bicubic import SCALES, downscale, upscale
from autocompress.data.images import read_image
from autocompress.errors import DataError, InvalidInput

scales = st.sampled_from(SCALES)


def noise(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Mostly black and white: the hardest case for overshoot and clipping."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.where(rng.random(image.shape) < 0.5, image, np.where(image < 128, 0, 255)).astype(np.uint8)


def imresize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """MATLAB's imresize, as its documentation describes it: dense weights, double precision, two passes."""
    return one_pass(one_pass(image, height).swapaxes(0, 1), width).swapaxes(0, 1)


def one_pass(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    length = len(image)
    ratio = size / length
    stretch = min(ratio, 1)
    weights = np.zeros((size, length))
    for row in range(size):
        centre = (row + 0.5) / ratio - 0.5
        for tap in range(int(np.floor(centre - 2 / stretch)), int(np.ceil(centre + 2 / stretch)) + 1):
            mirrored = tap % (2 * length)
            mirrored = min(mirrored, 2 * length - 1 - mirrored)
            weights[row, mirrored] += cubic((centre - tap) * stretch)
    weights /= weights.sum(1, keepdims=True)
    values = np.tensordot(weights, image.astype(np.float64), 1)
    # What is a half in exact precision may be a little less here.
    return np.floor(np.clip(values, 0, 255) + 0.5 + 1e-9).astype(np.uint8)


def cubic(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


@pytest.mark.parametrize("scale", SCALES)
def test_released_lr_images_of_set5_bit_for_bit(shared: Path, scale: int) -> None:
    set5 = shared / "data/benchmark/Set5"
    names = sorted(path.stem for path in (set5 / "HR").glob("*.png"))
    assert len(names) == 5
    for name in names:
        hr = read_image(set5 / f"HR/{name}.png")
        height, width = (side // scale * scale for side in hr.shape[:2])
        released = read_image(set5 / f"LR_bicubic/X{scale}/{name}x{scale}.png")
        np.testing.assert_array_equal(downscale(hr[:height, :width], scale), released, err_msg=name)


@settings(max_examples=40)
@given(scales, st.integers(1, 9), st.integers(1, 9), st.integers(0, 999))
def test_downscale_equals_direct_computation(scale: int, height: int, width: int, seed: int) -> None:
    image = noise(height * scale, width * scale, seed)
    np.testing.assert_array_equal(downscale(image, scale), imresize(image, height, width))


@settings(max_examples=40)
@given(scales, st.integers(1, 12), st.integers(1, 12), st.integers(0, 999))
def test_upscale_equals_direct_computation(scale: int, height: int, width: int, seed: int) -> None:
    image = noise(height, width, seed)
    np.testing.assert_array_equal(upscale(image, scale), imresize(image, height * scale, width * scale))


@pytest.mark.parametrize("scale", [2, *(pytest.param(scale, marks=pytest.mark.slow) for scale in SCALES if scale != 2)])
def test_long_images_are_worked_on_in_blocks(scale: int) -> None:
    """A wide image has few rows in a block: blocks must join without a seam, also the last, shorter one."""
    image = noise(scale * 13, 12_000 * scale, seed=1)
    np.testing.assert_array_equal(
        downscale(image, scale)[:, 50:90], downscale(image[:, : 200 * scale], scale)[:, 50:90]
    )
    np.testing.assert_array_equal(upscale(image, scale)[:, 300:600], upscale(image[:, :400], scale)[:, 300:600])


def test_input_is_left_alone_and_may_be_a_view() -> None:
    image = noise(24, 36, seed=3)
    copy = image.copy()
    view = image[::2, 3:27][:, ::-1]
    np.testing.assert_array_equal(downscale(view, 2), downscale(np.ascontiguousarray(view), 2))
    np.testing.assert_array_equal(upscale(view, 3), upscale(np.ascontiguousarray(view), 3))
    np.testing.assert_array_equal(image, copy)


def test_what_cannot_be_scaled() -> None:
    with pytest.raises(DataError, match="13x12 pixels cannot be shrunk by 3: crop"):
        downscale(noise(12, 13, 0), 3)
    with pytest.raises(InvalidInput, match="scale 5 is not supported: choose one of 2, 3, 4"):
        upscale(noise(4, 4, 0), 5)
    with pytest.raises(DataError, match="float64"):
        upscale(np.zeros((4, 4, 3)), 2)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"\(4, 4\)"):
        downscale(np.zeros((4, 4), np.uint8), 2)
    with pytest.raises(DataError, match="no pixels"):
        upscale(np.zeros((0, 4, 3), np.uint8), 2)
