"""Pictures of every kind, as `network.upscale(picture)` takes and gives them."""

import numpy as np
import pytest
from helpers.images import disc
from helpers.pictures import SRGB, Samples
from PIL import Image

from autocompress.data import bicubic
from autocompress.errors import DataError
from autocompress.evaluation.scores import network_upscaler
from autocompress.networks.base import SRNetwork
from autocompress.networks.teachers import load_teacher

# --- arrays ---


def test_rgb_is_what_evaluate_scores(network: SRNetwork, photo: Samples) -> None:
    assert np.array_equal(network.upscale(photo), network_upscaler(network)(photo))


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_grey_array(network: SRNetwork, photo: Samples, shape: tuple[int, ...]) -> None:
    grey = photo[:, :, 1].reshape(40, 50, *shape)
    sr = network.upscale(grey)
    assert sr.shape == (80, 100, *shape)
    rgb = network.upscale(np.repeat(photo[:, :, 1:2], 3, axis=2))
    assert np.array_equal(sr.reshape(80, 100), np.asarray(Image.fromarray(rgb).convert("L")))


def test_alpha_is_bicubic_and_opaque_colours_are_as_without_it(network: SRNetwork, photo: Samples) -> None:
    alpha = np.full((40, 50, 1), 255, np.uint8)
    assert np.array_equal(network.upscale(np.dstack([photo, alpha]))[:, :, :3], network.upscale(photo))
    alpha[:, 20:] = 0
    expected = bicubic.upscale(alpha, 2)
    assert np.array_equal(network.upscale(np.dstack([photo, alpha]))[:, :, 3:], expected)
    assert np.array_equal(network.upscale(np.dstack([photo[:, :, :1], alpha]))[:, :, 1:], expected)


def test_what_is_hidden_does_not_bleed_into_what_is_seen(photo: Samples) -> None:
    network = load_teacher("edsr-baseline-x2")
    colours, alpha = disc(photo)
    sr = network.upscale(np.dstack([colours, alpha])).astype(int)
    painted = network.upscale(np.dstack([np.where(alpha[:, :, None] > 0, colours, 255).astype(np.uint8), alpha]))
    assert np.array_equal(sr, painted)
    seen = sr[:, :, 3] > 0
    error = np.abs(sr[:, :, :3] - network.upscale(photo)).max(axis=2)[seen]
    bled = np.abs(network.upscale(colours).astype(int) - network.upscale(photo)).max(axis=2)[seen]
    assert error.mean() < bled.mean() / 3


def test_a_picture_of_which_nothing_is_seen(network: SRNetwork) -> None:
    assert np.array_equal(network.upscale(np.zeros((3, 4, 4), np.uint8))[:, :, 3], np.zeros((6, 8)))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2)])
@pytest.mark.parametrize("name", ["edsr-baseline-x2", pytest.param("swinir-s-x2", marks=pytest.mark.slow)])
def test_small_sizes(name: str, size: tuple[int, int]) -> None:
    assert load_teacher(name).upscale(np.full((*size, 3), 90, np.uint8)).shape == (2 * size[0], 2 * size[1], 3)


def test_tiles_are_equal_to_the_whole(network: SRNetwork, photo: Samples) -> None:
    assert np.array_equal(network.upscale(photo, tile=32), network.upscale(photo))


def test_what_is_given_stays_as_it_is(network: SRNetwork, photo: Samples) -> None:
    before = photo.copy()
    frozen = photo[:, ::-1]
    assert np.array_equal(network.upscale(frozen), network.upscale(np.ascontiguousarray(frozen)))
    assert np.array_equal(photo, before)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((4, 5, 3)), r"not float64 \(4, 5, 3\); of numbers in \[0, 1\], give \(255"),
        (np.zeros((4, 5), np.uint16), "not uint16"),
        (np.zeros((4, 5, 5), np.uint8), r"\(4, 5, 5\)"),
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
        ("photo.png", "not str"),
        (Image.new("F", (3, 3)), "convert it to 8 or 16 bits"),
    ],
)
def test_what_is_no_picture(network: SRNetwork, array: Samples, said: str) -> None:
    with pytest.raises(DataError, match=said):
        network.upscale(array)


# --- PIL images ---


@pytest.mark.parametrize(
    ("mode", "becomes"),
    [
        *(("1", "L"), ("L", "L"), ("LA", "LA"), ("La", "LA"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA")),
        *(("CMYK", "RGB"), ("YCbCr", "RGB"), ("HSV", "RGB"), ("I;16", "L")),
    ],
)
def test_modes(network: SRNetwork, photo: Samples, mode: str, becomes: str) -> None:
    rgb = Image.fromarray(photo)
    image = rgb.convert("LA").convert("La") if mode == "La" else rgb.convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    sr = network.upscale(image)
    assert (sr.mode, sr.size) == (becomes, (100, 80))
    expected = network.upscale(np.asarray(rgb.convert("L") if mode == "I;16" else image.convert(becomes)))
    assert np.array_equal(np.asarray(sr), expected)


def test_a_palette_with_a_transparent_colour(network: SRNetwork, photo: Samples) -> None:
    image = Image.fromarray(photo).quantize(16)
    image.info["transparency"] = 3
    sr = network.upscale(image)
    assert sr.mode == "RGBA"
    assert sr.getextrema()[3] == (0, 255)


def test_orientation_is_carried_out_and_the_rest_kept(network: SRNetwork, photo: Samples) -> None:
    image = Image.fromarray(photo)
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "Somebody"
    exif[0x8769] = {0x9003: "2024:05:06 07:08:09", 0xA002: 50, 0xA003: 40}
    exif[0x8825] = {1: "N"}
    image.info["exif"], image.info["icc_profile"] = exif.tobytes(), SRGB
    sr = network.upscale(image)
    assert np.array_equal(np.asarray(sr), network.upscale(np.ascontiguousarray(np.rot90(photo, -1))))
    kept = sr.getexif()
    assert dict(kept).keys() == {0x013B, 0x8769, 0x8825}
    assert kept.get_ifd(0x8769) == {0x9003: "2024:05:06 07:08:09"}
    assert kept.get_ifd(0x8825) == {1: "N"}
    assert sr.info["icc_profile"] == SRGB
    assert image.getexif()[0x0112] == 6  # as it was


def test_a_profile_of_other_colours_is_dropped(network: SRNetwork, photo: Samples) -> None:
    image = Image.fromarray(photo).convert("CMYK")
    image.info["icc_profile"] = SRGB[:16] + b"CMYK" + SRGB[20:]
    assert "icc_profile" not in network.upscale(image).info


def test_damaged_exif_is_dropped(network: SRNetwork, photo: Samples) -> None:
    image = Image.fromarray(photo)
    image.info["exif"] = b"Exif\0\0II*\0\xff\xff\xff\xff"
    assert "exif" not in network.upscale(image).info
