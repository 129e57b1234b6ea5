"""Where layers are fitted, and how a convolution is refitted at the border."""

import torch
import torch.nn.functional as F

from autocompress.shrink.least_squares import Pixels, refit, refit_linear


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
    fitted = refit(torch.zeros(3, 2, 3, 3), torch.zeros(3), at.taps(x), at.of(target))
    found = F.conv2d(x, *fitted, padding=1)
    assert (found - target).abs().max() < 0.05


def test_how_far_a_map_stays_as_it_was_is_told_by_rows_that_were_not_fitted() -> None:
    """Of few rows and a noisy target: a map that is nearly right keeps more of itself than one that is not."""
    generator = torch.Generator().manual_seed(0)
    rows, right = torch.randn(60, 40, generator=generator), torch.randn(5, 40, generator=generator)
    target = rows @ right.T + torch.randn(60, 5, generator=generator)
    near = right + 0.1 * torch.randn(5, 40, generator=generator)
    exact = torch.linalg.lstsq(rows, target).solution.T
    from_near, _ = refit_linear(near, torch.zeros(5), rows, target)
    from_nothing, _ = refit_linear(torch.zeros(5, 40), torch.zeros(5), rows, target)
    wrong = [float((found - right).square().mean()) for found in (near, from_near, from_nothing, exact)]
    assert wrong[0] < wrong[1] < 0.7 * wrong[2] < wrong[3]
    torch.testing.assert_close(refit_linear(right, torch.zeros(5), rows, rows @ right.T)[0], right)
