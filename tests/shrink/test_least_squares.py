"""Where layers are fitted, and how a convolution is refitted at the border."""

import torch
import torch.nn.functional as F

from autocompress.shrink.least_squares import Pixels, refit


def test_pixels_are_chosen_everywhere_and_none_twice() -> None:
    at = Pixels.choose(2, 4, 5, 2 * 20, torch.Generator().manual_seed(0))
    places = set(zip(at.image.tolist(), at.row.tolist(), at.column.tolist(), strict=True))
    assert places == {(image, row, column) for image in range(2) for row in range(4) for column in range(5)}
    assert len(at.image) == len(places)


def test_few_pixels_of_the_border_and_as_many_of_each_image() -> None:
    at = Pixels.choose(3, 24, 24, 301, torch.Generator().manual_seed(0))
    assert at.image.bincount().tolist() == [100, 100, 100]
    border = (at.row % 23 == 0) | (at.column % 23 == 0)
    assert at.image[border].bincount().tolist() == [2, 2, 2]


def test_images_that_are_all_border() -> None:
    at = Pixels.choose(2, 1, 2, 100, torch.Generator().manual_seed(0))
    assert sorted(zip(at.image.tolist(), at.column.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_refitted_convolution_is_right_at_the_border_too() -> None:
    """Of features that are nearly constant, which leaves open what is the weights' work and what the bias's."""
    generator = torch.Generator().manual_seed(0)
    x = 5 + 0.1 * torch.randn(4, 2, 8, 8, generator=generator)
    weight, bias = torch.randn(3, 2, 3, 3, generator=generator), torch.randn(3, generator=generator)
    target = F.conv2d(x, weight, bias, padding=1)
    at = Pixels.choose(4, 8, 8, 4 * 64, generator)
    fitted = refit(torch.zeros(3, 2, 3, 3), torch.zeros(3), at.taps(x), at.of(target), 1e-9)
    found = F.conv2d(x, *fitted, padding=1)
    assert (found - target).abs().max() < 0.05
