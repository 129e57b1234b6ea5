"""PSNR and SSIM of 8-bit images, on luma and on RGB, as the super-resolution literature computes them.

Luma is BT.601 in studio range (16..235), computed from 8-bit RGB and not rounded itself, as in BasicSR and in
MATLAB's `rgb2ycbcr` of a double image. Of large images all is computed in strips of rows, which bounds the memory.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autocompress.errors import InvalidInput

Image = NDArray[np.uint8]  # (H, W, 3)

_LUMA = np.array([65.481, 128.553, 24.966]) / 255
_WINDOW, _SIGMA = 11, 1.5
LARGEST_AT_EDGE = 100.0  # dB
STRIP = 2**22  # pixels that are computed at once; in float64, with all that SSIM needs, they take a gigabyte
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def rgb_to_y(image: Image) -> NDArray[np.float64]:
    """The luma (H, W) of an RGB image (H, W, 3), from 16 (black) to 235 (white)."""
    luma: NDArray[np.float64] = image.astype(np.float64) @ _LUMA + 16
    return luma


def psnr_y(sr: Image, hr: Image, border: int) -> float:
    """PSNR in dB on luma, with `border` pixels left out on all sides; infinite for equal images."""
    sr, hr = _inner(sr, hr, border)
    return _psnr(sr, hr, rgb_to_y)


def psnr_y_edge(sr: Image, hr: Image, border: int) -> float:
    """PSNR in dB on luma, of the outermost `border` pixels alone, which `psnr_y` leaves out; at most LARGEST_AT_EDGE.

    Borders of one colour are common, and are reproduced without any error: an infinite PSNR would spoil the mean.
    """
    _inner(sr, hr, border)
    if not border:
        return LARGEST_AT_EDGE
    height, width = hr.shape[:2]
    parts = []
    for rows in _strips(height, width):
        square = np.square(rgb_to_y(sr[rows]) - rgb_to_y(hr[rows]))
        edge = np.ones_like(square, dtype=bool)
        edge[max(0, border - rows.start) : max(0, height - border - rows.start), border : width - border] = False
        parts.append((float(square[edge].mean()), int(edge.sum())))
    mse = _mean(parts)
    return min(LARGEST_AT_EDGE, 10 * math.log10(255**2 / mse)) if mse else LARGEST_AT_EDGE


def psnr_rgb(sr: Image, hr: Image, border: int) -> float:
    """PSNR in dB over all channels, with `border` pixels left out on all sides; infinite for equal images."""
    sr, hr = _inner(sr, hr, border)
    return _psnr(sr, hr, lambda image: image.astype(np.float64))


def ssim_y(sr: Image, hr: Image, border: int) -> float:
    """SSIM on luma, without `border` pixels on all sides (Wang et al. 2004; 11x11 Gaussian, sigma 1.5)."""
    sr, hr = _inner(sr, hr, border)
    return _ssim(sr, hr, lambda image: torch.from_numpy(rgb_to_y(image))[None])


def ssim_rgb(sr: Image, hr: Image, border: int) -> float:
    """SSIM as in `ssim_y`, the mean of the three channels."""
    sr, hr = _inner(sr, hr, border)
    return _ssim(sr, hr, lambda image: torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1).contiguous())


def _inner(sr: Image, hr: Image, border: int) -> tuple[Image, Image]:
    """Both images without their border; raises InvalidInput where they can't be compared."""
    for image in (sr, hr):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InvalidInput(f"images to compare must be uint8 (H, W, 3), not {image.dtype} {image.shape}")
    if sr.shape != hr.shape:
        raise InvalidInput(f"images of {sr.shape[:2]} and {hr.shape[:2]} pixels cannot be compared: use equal sizes")
    height, width = hr.shape[:2]
    if border < 0 or min(height, width) <= 2 * border:
        raise InvalidInput(
            f"a border of {border} pixels cannot be left out of an image of {width}x{height}: "
            f"it must be at least 0 and leave something"
        )
    inner = np.s_[border : height - border, border : width - border]
    return sr[inner], hr[inner]


def _strips(height: int, width: int, overlap: int = 0) -> Iterator[slice]:
    """Rows of an image, of up to STRIP pixels and `overlap` rows of the next strip: all in one unless it is large."""
    rows = max(1, STRIP // width)
    rows = min(height, rows)
    for start in range(0, height - overlap, rows):
        yield slice(start, min(start + rows + overlap, height))


def _mean(parts: list[tuple[float, int]]) -> float:
    """The mean of all from those of parts, given with their counts; of one part to the last bit its own."""
    if len(parts) == 1:
        return parts[0][0]
    return sum(mean * count for mean, count in parts) / sum(count for _, count in parts)


def _psnr(sr: Image, hr: Image, planes: Callable[[Image], NDArray[np.float64]]) -> float:
    parts = []
    for rows in _strips(*hr.shape[:2]):
        square = np.square(planes(sr[rows]) - planes(hr[rows]))
        parts.append((float(square.mean()), square.size))
    mse = _mean(parts)
    return 10 * math.log10(255**2 / mse) if mse else math.inf


def _ssim(sr: Image, hr: Image, planes: Callable[[Image], Tensor]) -> float:
    """Mean SSIM of float64 planes (C, H, W), 0..255, over the places where the whole window lies inside."""
    height, width = hr.shape[:2]
    if min(height, width) < _WINDOW:
        raise InvalidInput(
            f"SSIM needs at least {_WINDOW}x{_WINDOW} pixels inside the border, but there are "
            f"{width}x{height}: use larger images"
        )
    strips = _strips(height, width, overlap=_WINDOW - 1)
    return _mean([_ssim_of_planes(planes(sr[rows]), planes(hr[rows])) for rows in strips])


def _ssim_of_planes(a: Tensor, b: Tensor) -> tuple[float, int]:
    """Mean SSIM, and of how many places."""
    mean_a, mean_b, mean_squares, mean_product = _blur(torch.stack([a, b, a * a + b * b, a * b]))
    squared_means, product_of_means = mean_a**2 + mean_b**2, mean_a * mean_b
    likeness = (2 * product_of_means + _C1) / (squared_means + _C1)
    likeness *= (2 * (mean_product - product_of_means) + _C2) / (mean_squares - squared_means + _C2)
    return float(likeness.mean()), likeness.numel()


def _blur(planes: Tensor) -> Tensor:
    """Gaussian means (..., H-10, W-10) of planes (..., H, W), rows and columns one after the other."""
    x = torch.arange(_WINDOW, dtype=planes.dtype) - _WINDOW // 2
    weights = torch.exp(-(x**2) / (2 * _SIGMA**2))
    weights = weights / weights.sum()
    for axis in (-2, -1):
        size = planes.shape[axis] - _WINDOW + 1
        total = weights[0] * planes.narrow(axis, 0, size)
        for k in range(1, _WINDOW):
            total.add_(planes.narrow(axis, k, size), alpha=float(weights[k]))
        planes = total
    return planes
