"""MATLAB's `imresize(image, ..., "bicubic")` for 8-bit images and whole-number scales, bit for bit.

This is the bicubic of the super-resolution benchmarks: Keys' kernel with a = -0.5, stretched when
shrinking (antialiasing), symmetric borders, and rounding to 8 bits after each of the two passes,
height first. PIL's and OpenCV's bicubic differ from it.

For a whole-number scale all weights are ratios of small whole numbers, so the precision here is that
of integers: exact, and rounded half up as MATLAB's `uint8` does for what is not negative.
"""

from fractions import Fraction
from functools import cache
from math import ceil, floor, lcm

import numpy as np
from numpy.typing import NDArray

from autocompress.errors import DataError, InvalidInput

Image = NDArray[np.uint8]  # (H, W, 3)

SCALES = (2, 3, 4)
# What one step of a pass works on: small enough for its sums to stay in the CPU cache.
BLOCK_BYTES = 1 << 19


def downscale(image: Image, scale: int) -> Image:
    """Shrink `image` (H, W, C) to (H/scale, W/scale, C); raises DataError unless scale divides H and W."""
    _check(image, scale)
    height, width = image.shape[:2]
    if height % scale or width % scale or 0 in image.shape:
        raise DataError(
            f"an image of {width}x{height} pixels cannot be shrunk by {scale}: "
            f"crop it to a multiple of {scale} in both directions"
        )
    return _both_passes(image, scale, shrink=True)


def upscale(image: Image, scale: int) -> Image:
    """Enlarge `image` (H, W, C) to (scale*H, scale*W, C): the baseline that networks are compared with."""
    _check(image, scale)
    if 0 in image.shape:
        raise DataError(f"an image of shape {image.shape} has no pixels: give one of at least 1x1 pixels")
    return _both_passes(image, scale, shrink=False)


def _check(image: Image, scale: int) -> None:
    if scale not in SCALES:
        raise InvalidInput(f"scale {scale} is not supported: choose one of {', '.join(map(str, SCALES))}")
    if image.dtype != np.uint8 or image.ndim != 3:
        raise DataError(f"an image must be uint8 of shape (H, W, C), not {image.dtype} of shape {image.shape}")


def _both_passes(image: Image, scale: int, *, shrink: bool) -> Image:
    resize = _shrink_rows if shrink else _enlarge_rows
    columns_first = resize(image, scale).transpose(1, 2, 0)  # (W, C, H')
    return np.ascontiguousarray(resize(np.ascontiguousarray(columns_first), scale).transpose(2, 0, 1))


def _shrink_rows(image: Image, scale: int) -> Image:
    """(N, ...) to (N/scale, ...): the weights are the same for every row that comes out."""
    [(first, weights)] = _phases(scale, shrink=True)
    size = len(image) // scale
    rows = _with_mirrored_rows(image, before=-first, after=first + len(weights) - scale)
    out = np.empty((size, rows.shape[1]), np.uint8)
    step = _rows_per_block(rows)
    for start in range(0, size, step):
        stop = min(start + step, size)
        block = rows[start * scale : (stop - 1) * scale + len(weights)]
        taps = [block[k : k + (stop - start - 1) * scale + 1 : scale] for k in range(len(weights))]
        _weighted_sum(taps, weights, out[start:stop])
    return out.reshape(size, *image.shape[1:])


def _enlarge_rows(image: Image, scale: int) -> Image:
    """(N, ...) to (scale*N, ...): row scale*i + p is a sum of rows near i with the weights of phase p."""
    margin = 2
    rows = _with_mirrored_rows(image, before=margin, after=margin)
    out = np.empty((len(image), scale, rows.shape[1]), np.uint8)
    step = _rows_per_block(rows)
    for phase, (first, weights) in enumerate(_phases(scale, shrink=False)):
        for start in range(0, len(image), step):
            stop = min(start + step, len(image))
            taps = [rows[margin + first + k + start : margin + first + k + stop] for k in range(len(weights))]
            _weighted_sum(taps, weights, out[start:stop, phase])
    return out.reshape(len(image) * scale, *image.shape[1:])


def _with_mirrored_rows(image: Image, before: int, after: int) -> Image:
    flat = image.reshape(len(image), -1)
    return np.pad(flat, ((before, after), (0, 0)), mode="symmetric")


def _rows_per_block(rows: Image) -> int:
    sums_per_block = BLOCK_BYTES // np.dtype(np.int32).itemsize
    return max(1, sums_per_block // int(rows.shape[1]))


def _weighted_sum(taps: list[Image], weights: tuple[int, ...], out: Image) -> None:
    """Write round(sum(weights * taps) / sum(weights)), clipped to 8 bits, into `out`."""
    divisor = sum(weights)
    total = np.full(out.shape, divisor // 2, np.int32)
    product = np.empty_like(total)
    for tap, weight in zip(taps, weights, strict=True):
        total += np.multiply(tap, np.int32(weight), out=product)
    total //= divisor
    np.clip(total, 0, 255, out=total)
    out[...] = total


@cache
def _phases(scale: int, *, shrink: bool) -> list[tuple[int, tuple[int, ...]]]:
    """For each phase: the input row of output row `phase`'s first tap (maybe negative), and the weights."""
    stretch = scale if shrink else 1
    step = Fraction(scale) if shrink else Fraction(1, scale)
    phases = []
    for phase in range(1 if shrink else scale):
        centre = (phase + Fraction(1, 2)) * step - Fraction(1, 2)
        positions = range(floor(centre) - 2 * stretch, ceil(centre) + 2 * stretch + 1)
        weights = {k: _keys(Fraction(centre - k) / stretch) for k in positions}
        used = [k for k in positions if weights[k]]
        denominator = lcm(*(weights[k].denominator for k in used))
        phases.append((used[0], tuple(int(weights[k] * denominator) for k in range(used[0], used[-1] + 1))))
    return phases


def _keys(x: Fraction) -> Fraction:
    """Keys' cubic convolution kernel, a = -1/2 (IEEE Trans. ASSP 29, 1981, eq. 15)."""
    x = abs(x)
    if x <= 1:
        return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
    if x <= 2:
        return -Fraction(1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2
    return Fraction(0)
