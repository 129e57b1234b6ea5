"""A network as a function of 8-bit images, tile by tile: the one precision that is scored and that people get."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autocompress.compute.precision import exact
from autocompress.compute.tiling import OnTile, Tiling
from autocompress.errors import CheckpointError, InvalidInput

Image = NDArray[np.uint8]
Upscaler = Callable[[Image], Image]

MIN_TILE = 32  # LR pixels a side: of smaller tiles nearly all that the network sees is margin
# LR pixels a side, where none are asked for: the first for networks that see so little around a tile that tiles which
# fit the processor's caches pay (benchmarks/upscale_memory.py). Convolutions of 64 channels then need some 750 MB.
TILE, LARGE_TILE = 256, 512
TRIED = 48  # LR pixels a side of the image on which a network is tried
FEW = 24  # LR pixels of margin
LARGE = 512**2  # LR pixels: larger images are tiled without being asked for


class TiledNetwork(Protocol):
    """What running a network on tiles asks of it: the part of `SRNetwork` that this module may know."""

    @property
    def scale(self) -> int:
        """The factor between input and output size."""

    @property
    def margin(self) -> int:
        """LR pixels around a tile that the network must also see."""

    @property
    def size_multiple(self) -> int:
        """Input sizes that need no padding are multiples of this."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Those of the network, on its device."""

    def __call__(self, lr: Tensor) -> Tensor:
        """Upscale (B, 3, H, W) images in [0, 1]."""


def tiling(network: TiledNetwork, tile: int) -> Tiling:
    """How images are taken apart for this network into tiles of `tile` LR pixels a side."""
    return Tiling(tile, network.margin, network.size_multiple)


def network_upscaler(network: TiledNetwork, tile: int | None = None, on_tile: OnTile | None = None) -> Upscaler:
    """A network on its own device, in float32, for uint8 images (h, w, 3), and grey ones (h, w, 1).

    It runs on tiles of `tile` LR pixels a side, which bounds its memory. By default only large images are tiled. That
    changes nothing that 8 bits show (see `SRNetwork.margin`). A tile too small is InvalidInput.
    """
    check_tile(tile)
    device = next(network.parameters()).device

    def upscale(lr: Image) -> Image:
        tiles = used_tiling(network, lr.shape[0], lr.shape[1], tile)
        with torch.inference_mode(), exact():
            sr = tiles.upscale(network, torch.from_numpy(lr).to(device), network.scale, on_tile)
        result: Image = sr.numpy()
        return result

    return upscale


def has_finite_outputs(network: TiledNetwork) -> bool:
    """Whether what a network makes of noise, which has all values of pixels, are finite numbers."""
    noise = np.random.default_rng(0).integers(0, 256, (TRIED, TRIED, 3), np.uint8)
    try:
        network_upscaler(network)(noise)
    except CheckpointError:
        return False
    return True


def check_tile(tile: int | None) -> None:
    """Raise InvalidInput for a tile that is too small."""
    if tile is not None and tile < MIN_TILE:
        raise InvalidInput(f"tile is {tile}, but must be at least {MIN_TILE} LR pixels")


def used_tiling(network: TiledNetwork, height: int, width: int, tile: int | None = None) -> Tiling:
    """The tiles that `network_upscaler` takes an image of this size apart into."""
    if tile is not None:
        return tiling(network, tile)
    if height * width <= LARGE:
        return tiling(network, max(height, width))
    small = tiling(network, TILE)
    return small if small.margin <= FEW else tiling(network, LARGE_TILE)
