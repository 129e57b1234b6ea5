"""The losses, against the released code's values and against a reading of the formula pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from autocompress.compute.losses import CHARBONNIER_EPS, TEACHER_LOSSES, charbonnier, l1, multilap

Plane = NDArray[np.float64]


def blur(image: Plane) -> Plane:
    """5x5 binomial filter; SciPy calls reflection without repeating the border `mirror`."""
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    return correlate1d(correlate1d(image, kernel, axis=2, mode="mirror"), kernel, axis=3, mode="mirror")


def pyramid(image: Plane) -> list[Plane]:
    levels = []
    for _ in range(4):
        smooth = blur(image)
        down = (smooth[..., ::2, ::2] + smooth[..., 1::2, ::2] + smooth[..., ::2, 1::2] + smooth[..., 1::2, 1::2]) / 4
        up = np.zeros_like(image)
        up[..., ::2, ::2] = down
        levels.append(image - 4 * blur(up))
        image = down
    return [*levels, image]


def lap(a: Plane, b: Plane) -> float:
    pairs = zip(pyramid(a), pyramid(b), strict=True)
    return float(sum(2**i * np.abs(x - y).mean() for i, (x, y) in enumerate(pairs)))


def test_multilap_golden(shared: Path) -> None:
    golden = torch.load(shared / "golden" / "multilap.pt", weights_only=True)
    sr = golden["pred"].clone().requires_grad_()
    loss = multilap(sr, golden["target"])
    loss.backward()
    torch.testing.assert_close(loss.detach(), golden["loss"], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(sr.grad, golden["grad"], atol=1e-7, rtol=1e-3)


@pytest.mark.parametrize("shape", [(1, 3, 48, 48), (2, 3, 96, 64), (3, 3, 48, 144)])
def test_multilap_is_its_formula(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    a, b = torch.rand(shape, dtype=torch.float64), torch.rand(shape, dtype=torch.float64)
    x, y = a.numpy(), b.numpy()
    expected = lap(x, y) + lap(x - blur(x), y - blur(y))
    assert multilap(a, b).item() == pytest.approx(expected, rel=1e-10)


def test_charbonnier_is_absolute_far_out_and_square_near_zero() -> None:
    zeros = torch.zeros(1, 3, 8, 8, dtype=torch.float64)
    assert charbonnier(zeros + 0.5, zeros, CHARBONNIER_EPS).item() == pytest.approx(0.5, rel=1e-5)
    near = charbonnier(zeros + 1e-5, zeros, CHARBONNIER_EPS).item()
    assert near - CHARBONNIER_EPS**0.5 == pytest.approx(1e-10 / (2 * CHARBONNIER_EPS**0.5), rel=1e-3)


def test_l1_is_the_mean_absolute_difference() -> None:
    a, b = torch.rand(2, 3, 5, 4), torch.rand(2, 3, 5, 4)
    assert l1(a, b).item() == pytest.approx(float(np.abs(a.numpy() - b.numpy()).mean()), rel=1e-6)


@pytest.mark.parametrize("name", TEACHER_LOSSES)
def test_equal_images_have_the_least_loss(name: str) -> None:
    loss, image = TEACHER_LOSSES[name], torch.rand(1, 3, 64, 64)
    least = CHARBONNIER_EPS**0.5 if name == "charbonnier" else 0.0
    assert loss(image, image).item() == pytest.approx(least, rel=1e-5)
    for other in (image + 0.1, image.flip(3)):
        assert loss(image, other).item() > 2 * least
        assert loss(image, other).item() == pytest.approx(loss(other, image).item(), rel=1e-5)
