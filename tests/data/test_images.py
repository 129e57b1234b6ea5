"""Reading every kind of image file as 8-bit RGB, refusing damaged ones, and writing whole files."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tifffile
from helpers.images import write_16_bit_png, write_image
from numpy.typing import NDArray
from PIL import Image

from autocompress.data.images import IMAGE_SUFFIXES, read_image, read_size
from autocompress.errors import DataError

LOSSLESS = sorted(IMAGE_SUFFIXES - {".jpg", ".jpeg"})


@pytest.fixture
def rgb() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """A slope, which JPEG keeps nearly as it is."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 4, x * 4, 255 - y * 2 - x * 2], axis=2).astype(np.uint8)


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_written_and_read_again(tmp_path: Path, rgb: NDArray[np.uint8], suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    write_image(path, rgb)
    np.testing.assert_array_equal(read_image(path), rgb)
    assert read_size(path) == (30, 20)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_jpeg_is_close(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"image{suffix}", smooth(40, 50))
    error = read_image(tmp_path / f"image{suffix}").astype(int) - smooth(40, 50)
    assert abs(error).max() <= 4


def test_what_is_read_may_be_written_to(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    write_image(tmp_path / "image.png", rgb)
    image = read_image(tmp_path / "image.png")
    assert image.flags.writeable
    assert image.flags.c_contiguous


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_greyscale_becomes_rgb(tmp_path: Path, rgb: NDArray[np.uint8], suffix: str) -> None:
    Image.fromarray(rgb[:, :, 0]).save(tmp_path / f"grey{suffix}")
    np.testing.assert_array_equal(read_image(tmp_path / f"grey{suffix}"), np.repeat(rgb[:, :, :1], 3, axis=2))


def test_alpha_is_dropped_not_composited(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    alpha = np.where(rgb[:, :, :1] < 128, 0, 77).astype(np.uint8)
    Image.fromarray(np.concatenate([rgb, alpha], axis=2)).save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png"), rgb)
    Image.fromarray(np.concatenate([rgb[:, :, :1], alpha], axis=2)).save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_image(tmp_path / "la.png"), np.repeat(rgb[:, :, :1], 3, axis=2))


def test_a_reason_that_pillow_does_not_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It raises some errors without a text."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image.Image, "convert", lambda *_: (_ for _ in ()).throw(AssertionError))
    with pytest.raises(DataError, match=r"cannot be read as an image \(AssertionError\)"):
        read_image(tmp_path / "a.png")


def test_palette_and_transparent_colour(tmp_path: Path) -> None:
    indices = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colours = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    assert image.mode == "P"
    image.save(tmp_path / "palette.png", transparency=7)
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), colours[indices])


def test_black_and_white(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    black_or_white = rgb[:, :, 0] > 127
    Image.fromarray(black_or_white).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_image(tmp_path / "bits.png")[:, :, 1], black_or_white * 255)


def test_cmyk_is_converted(tmp_path: Path) -> None:
    Image.fromarray(smooth(40, 50)).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=98)
    with Image.open(tmp_path / "cmyk.jpg") as image:
        assert image.mode == "CMYK"
    assert abs(read_image(tmp_path / "cmyk.jpg").astype(int) - smooth(40, 50)).max() <= 6


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bit_png(tmp_path: Path, colour_type: int, channels: int) -> None:
    samples = np.random.default_rng(2).integers(0, 65536, (20, 30, channels), dtype=np.uint16)
    samples[0, 0], samples[0, 1] = 0, 65535
    write_16_bit_png(tmp_path / "deep.png", samples, colour_type)
    colours = samples[:, :, :3] if channels >= 3 else np.repeat(samples[:, :, :1], 3, axis=2)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), colours >> 8)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_tiff(tmp_path: Path, byteorder: Literal["<", ">"], channels: int) -> None:
    samples = np.random.default_rng(3).integers(0, 65536, (200, 300, channels), dtype=np.uint16)
    photometric = "minisblack" if channels == 1 else "rgb"
    tifffile.imwrite(
        tmp_path / "deep.tif",
        samples.squeeze(),
        byteorder=byteorder,
        photometric=photometric,
        rowsperstrip=16,
    )
    colours = samples[:, :, :3] if channels >= 3 else np.repeat(samples, 3, axis=2)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.tif"), colours >> 8)


def test_tiff_that_pillow_would_read_wrongly_is_refused(tmp_path: Path) -> None:
    planes = np.zeros((3, 20, 30), np.uint16)
    tifffile.imwrite(tmp_path / "planes.tif", planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(DataError, match=r"planes\.tif: .*separate colour planes.*interleaved"):
        read_image(tmp_path / "planes.tif")
    for samples in (np.zeros((20, 30), np.float32), np.zeros((20, 30), np.int32)):
        tifffile.imwrite(tmp_path / "range.tif", samples)
        with pytest.raises(DataError, match=r"range\.tif: .*convert it to 8 or 16 bits"):
            read_size(tmp_path / "range.tif")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (3, lambda image: image[::-1, ::-1]),
        (6, lambda image: np.rot90(image, -1)),
        (8, np.rot90),
        (5, lambda image: image.transpose(1, 0, 2)),
    ],
)
def test_exif_orientation_is_honoured(
    tmp_path: Path, suffix: str, orientation: int, turn: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth(40, 50)).save(tmp_path / f"turned{suffix}", exif=exif, quality=98)
    image = read_image(tmp_path / f"turned{suffix}")
    expected = turn(smooth(40, 50))
    assert image.shape == expected.shape
    assert abs(image.astype(int) - expected).max() <= (12 if suffix in (".jpg", ".webp") else 0)
    assert read_size(tmp_path / f"turned{suffix}") == (50, 40)


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_truncated_file_is_named(tmp_path: Path, rgb: NDArray[np.uint8], suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    write_image(path, rgb)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"cut\{suffix}: .*; replace or remove it"):
        read_image(path)


def test_damaged_data_behind_a_good_header(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    path = tmp_path / "damaged.png"
    write_image(path, rgb)
    data = bytearray(path.read_bytes())
    data[100:200] = bytes(100)
    path.write_bytes(data)
    assert read_size(path) == (30, 20)
    with pytest.raises(DataError, match=r"damaged\.png: cannot be read as an image"):
        read_image(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty"), (b"GIF89a not ours", "is not a PNG"), (b"\x89PNG\r\n\x1a\n", "")],
)
def test_not_an_image(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    for read in (read_image, read_size):
        with pytest.raises(DataError, match=rf"x\.png: .*{reason}.*; replace or remove it"):
            read(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.png: no such file"):
        read_image(tmp_path / "absent.png")
