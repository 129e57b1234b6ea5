"""Scores by tiles."""

import numpy as np
import pytest

from autocompress.data import bicubic
from autocompress.data.sources import ImagePair
from autocompress.evaluation.scores import Image, bicubic_upscaler, evaluate
from autocompress.search.trial.quick_score import NUM_TILES, TILE, estimate_by_tiles


def pair(height: int, width: int, seed: int) -> ImagePair:
    """Noise, the rougher the further to the right, at x2."""
    random = np.random.default_rng(seed)
    rough = np.linspace(0, 60, 2 * width)[None, :, None] * random.normal(size=(2 * height, 2 * width, 3))
    hr = (128 + rough).clip(0, 255).astype(np.uint8)
    return ImagePair(f"image{seed}", bicubic.downscale(hr, 2), hr)


def test_small_images_are_taken_whole() -> None:
    assert estimate_by_tiles([pair(200, 200, 0)], 2) is None


@pytest.mark.parametrize("sizes", [[(640, 480)], [(256, 256), (300, 500), (100, 900)], [(160, 100)] * 40])
def test_tiles_are_pieces_of_the_images(sizes: list[tuple[int, int]]) -> None:
    pairs = [pair(height, width, seed) for seed, (height, width) in enumerate(sizes)]
    estimate = estimate_by_tiles(pairs, 2)
    assert estimate is not None
    assert len(estimate.images) == min(len(pairs), NUM_TILES)
    tiles = [tile for image in estimate.images for tile in image]
    assert len(tiles) == NUM_TILES == len({tile.name for tile in tiles})
    by_name = {pair.name: pair for pair in pairs}
    for tile in tiles:
        name, left, top = tile.name.split("+")
        whole, x, y = by_name[name], int(left), int(top)
        assert tile.lr.shape == (TILE, TILE, 3)
        assert np.array_equal(tile.lr, whole.lr[y : y + TILE, x : x + TILE])
        assert np.array_equal(tile.hr, whole.hr[2 * y : 2 * (y + TILE), 2 * x : 2 * (x + TILE)])


def test_easy_and_hard_tiles_make_a_fair_mean() -> None:
    pairs = [pair(512, 512, seed) for seed in range(3)]
    estimate = estimate_by_tiles(pairs, 2)
    assert estimate is not None
    whole = evaluate(bicubic_upscaler(2), pairs, 2, ["psnr_y"]).mean["psnr_y"]
    assert estimate.psnr_y(bicubic_upscaler(2)) == pytest.approx(whole, abs=0.3)


def test_better_upscaling_scores_higher() -> None:
    pairs = [pair(512, 512, 0)]
    estimate = estimate_by_tiles(pairs, 2)
    assert estimate is not None

    def dark(lr: Image) -> Image:
        return bicubic.upscale(lr, 2) // 2

    assert estimate.psnr_y(bicubic_upscaler(2)) > estimate.psnr_y(dark) + 3


def test_a_perfect_image_is_infinitely_good() -> None:
    flat = [ImagePair("flat", np.full((512, 512, 3), 90, np.uint8), np.full((1024, 1024, 3), 90, np.uint8))]
    estimate = estimate_by_tiles(flat, 2)
    assert estimate is not None
    assert estimate.psnr_y(bicubic_upscaler(2)) == float("inf")
