"""Image files as 8-bit RGB arrays, and back.

What a file may be: PNG, JPEG, WebP, BMP or TIFF; colour, greyscale (becomes RGB), palette or CMYK; with an
alpha channel (dropped, not composited); 8 bits or 16 (the high byte is taken, which maps 0..65535 evenly
onto 0..255); turned by an EXIF orientation (honoured). Colour profiles are ignored, as everywhere in
super-resolution. Of a file with several pictures, the first is taken.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from autocompress.errors import DataError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"lossless": True},
}
_WEBP_QUALITY, _WEBP_QUALITY_SHRUNK = 95, 80
_TIFF_BITS_PER_SAMPLE, _TIFF_PLANAR_CONFIGURATION = 258, 284


def read_image(path: Path) -> NDArray[np.uint8]:
    """The picture in `path` as uint8 RGB (H, W, 3); raises DataError, naming the file, if that fails."""
    with opened(path) as image:
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I;16"):
            grey = (np.asarray(image) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        return np.array(image.convert("RGB"))


def read_size(path: Path) -> tuple[int, int]:
    """The two sides of the picture in pixels, the longer first, from the file's header: nothing is decoded.

    Raises DataError, naming the file, for a damaged header; damage after the header is found by `read_image` only.
    """
    with opened(path) as image:
        return max(image.size), min(image.size)


def png(image: NDArray[np.uint8]) -> bytes:
    """A PNG file's content of uint8 RGB (H, W, 3)."""
    content = BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(content, format="PNG", optimize=True)
    return content.getvalue()


def webp(image: NDArray[np.uint8], most: int) -> bytes:
    """A WebP file's content of uint8 RGB (H, W, 3), to be looked at: near to lossless, or small where it is shrunk.

    An image of more than `most` pixels is shrunk to about so many.
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    factor = math.sqrt(most / (picture.width * picture.height))
    if factor < 1:
        sides = (max(1, round(side * factor)) for side in picture.size)
        picture = picture.resize((next(sides), next(sides)), Image.Resampling.LANCZOS)
    content = BytesIO()
    picture.save(content, format="WEBP", quality=_WEBP_QUALITY if factor >= 1 else _WEBP_QUALITY_SHRUNK, method=2)
    return content.getvalue()


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open the file with Pillow; whatever goes wrong with it becomes a DataError that names it.

    Pillow's warnings (of EXIF and TIFF tags, and for pictures from 89 megapixels on) are silenced, as what matters of
    them is an error; from 179 megapixels on it refuses a picture.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe or a device would be waited for, or read for ever
            raise DataError(f"{path}: no regular file; give a file that holds an image")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as image:
                refuse_what_is_read_wrongly(image)
                yield image
    except DataError:
        raise
    except UnidentifiedImageError as error:
        state = "is empty" if path.stat().st_size == 0 else "is not a PNG, JPEG, WebP, BMP or TIFF image"
        raise DataError(f"{path}: {state}; replace or remove it") from error
    except FileNotFoundError as error:
        if path.is_symlink():
            raise DataError(f"{path}: a link to a file that is not there; put that back, or remove the link") from error
        raise DataError(f"{path}: no such file; check the path") from error
    # Pillow's decoders answer damaged files with nearly any exception: OSError, SyntaxError, struct.error...
    except Exception as error:
        said = str(error) or type(error).__name__
        reason = "too little memory is free" if isinstance(error, MemoryError) else said
        raise DataError(f"{path}: cannot be read as an image ({reason}); replace or remove it") from error


def refuse_what_is_read_wrongly(image: Image.Image) -> None:
    """Raise ValueError for pixel formats that Pillow reads with wrong values, or whose range of values is unknown."""
    if image.mode in ("I", "F"):
        raise ValueError("32-bit or floating-point pixels are not supported: convert it to 8 or 16 bits")
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_TIFF_BITS_PER_SAMPLE, (8,))
    if bits[0] == 16 and tags.get(_TIFF_PLANAR_CONFIGURATION) == 2:
        raise ValueError("16-bit TIFF with separate colour planes is not supported: save it interleaved")
    if bits[0] not in (1, 2, 4, 8, 16):
        raise ValueError(f"TIFF with {bits[0]} bits a sample is not supported: convert it to 8 or 16 bits")
