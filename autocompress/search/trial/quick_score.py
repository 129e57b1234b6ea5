"""A quick estimate of a mean PSNR-Y, from some tiles of the images.

Scoring a student on large validation images can take longer than its training up to a rung. A rung needs the ranking of
students only, so they are all scored on the same few tiles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autocompress.data import bicubic
from autocompress.data.sources import ImagePair
from autocompress.evaluation.metrics import rgb_to_y
from autocompress.evaluation.scores import Image, Upscaler
from autocompress.progress import OnDone, untold

TILE = 64  # LR pixels a side
NUM_TILES = 16
WORTH_IT = 2  # images that have fewer pixels than this many times the tiles' are scored whole


@dataclass(frozen=True)
class Estimate:
    """Scores by tiles; made by `estimate_by_tiles`."""

    images: list[list[ImagePair]]  # the tiles of each image that has some
    scale: int

    def psnr_y(self, upscale: Upscaler) -> float:
        """The mean over images of the PSNR-Y in dB of each one's tiles together."""
        return float(np.mean([self._image(upscale, tiles) for tiles in self.images]))

    def _image(self, upscale: Upscaler, tiles: list[ImagePair]) -> float:
        mse = float(np.mean([_mse(upscale(tile.lr), tile.hr, self.scale) for tile in tiles]))
        return 10 * math.log10(255**2 / mse) if mse else math.inf


def estimate_by_tiles(pairs: Sequence[ImagePair], scale: int, report: OnDone = untold) -> Estimate | None:
    """Choose tiles evenly over how hard they are for bicubic; None if the images are hardly larger than all tiles.

    If there are more images than tiles, evenly spaced images have one tile each. `report` is told of how many images
    they are chosen, of how many.
    """
    if sum(pair.lr.shape[0] * pair.lr.shape[1] for pair in pairs) < WORTH_IT * NUM_TILES * TILE**2:
        return None
    count = min(len(pairs), NUM_TILES)
    chosen = [pairs[index * len(pairs) // count] for index in range(count)]
    shares = [NUM_TILES * (index + 1) // count - NUM_TILES * index // count for index in range(count)]
    images = []
    for pair, share in zip(chosen, shares, strict=True):
        images.append(_tiles(pair, scale, share))
        report(len(images), count)
    return Estimate(images, scale)


def _tiles(pair: ImagePair, scale: int, count: int) -> list[ImagePair]:
    height, width = pair.lr.shape[:2]
    tiles = []
    for top in range(0, max(1, height - TILE + 1), TILE):
        for left in range(0, max(1, width - TILE + 1), TILE):
            lr = pair.lr[top : top + TILE, left : left + TILE]
            hr = pair.hr[top * scale : (top + TILE) * scale, left * scale : (left + TILE) * scale]
            tiles.append(ImagePair(f"{pair.name}+{left}+{top}", np.ascontiguousarray(lr), np.ascontiguousarray(hr)))
    errors = [_mse(bicubic.upscale(tile.lr, scale), tile.hr, scale) for tile in tiles]
    ranked = [tiles[index] for index in np.argsort(errors, kind="stable")]
    count = min(count, len(ranked))
    return [ranked[(2 * index + 1) * len(ranked) // (2 * count)] for index in range(count)]


def _mse(sr: Image, hr: Image, border: int) -> float:
    inner = np.s_[border:-border, border:-border]
    return float(np.square(rgb_to_y(sr[inner]) - rgb_to_y(hr[inner])).mean())
