"""Pictures of any mode (grey, alpha, 16 bits, ...), upscaled by a network for 8-bit RGB, with their metadata.

A picture is first converted to 8 bits and to grey or RGB, with or without alpha: palettes and CMYK become RGB, 16-bit
samples keep their high byte, and an EXIF orientation is carried out. Then

- RGB goes through the network;
- grey goes through it as RGB, tile by tile, and is converted back to luma (BT.601);
- alpha is upscaled by bicubic. The colour of fully transparent pixels is arbitrary, often black. It is replaced by
  that of the nearest visible pixel first, so that it does not bleed into visible ones.

The colour profile is kept (except that of CMYK), and so are the EXIF fields about when, where, by whom and how the
picture was taken. Other metadata, such as thumbnails and XMP, is dropped.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from scipy.ndimage import distance_transform_edt

from autocompress.data import bicubic
from autocompress.data.images import SAVE_OPTIONS, opened, refuse_what_is_read_wrongly
from autocompress.errors import DataError

Samples = NDArray[np.uint8]
Upscaler = Callable[[Samples], Samples]
"""uint8 RGB (h, w, 3) to (scale*h, scale*w, 3), and grey (h, w, 1) to (scale*h, scale*w, 1)."""

Kind = TypeVar("Kind", Image.Image, Samples)

LARGEST_SIDES = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}  # pixels that a file's format can hold
WEBP = 36  # bytes a pixel, of photographs and of noise; 14 to 21 of flat pictures
JPEG_EXIF = 65533  # bytes, of one segment
OPAQUE = frozenset({".jpg", ".jpeg", ".bmp"})  # as Pillow writes it

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF"}
_FORMATS[".tiff"] = "TIFF"
_KEPT_TAGS = ("ImageDescription", "Make", "Model", "Software", "DateTime", "Artist", "Copyright")
_SIZES_AND_OFFSETS = ("ExifImageWidth", "ExifImageHeight", "ExifInteroperabilityOffset", "MakerNote")
_SPACES = {1: b"GRAY", 2: b"GRAY", 3: b"RGB ", 4: b"RGB "}  # of a profile, for so many channels


@dataclass(frozen=True)
class Picture:
    """Samples (H, W, C), grey, grey with alpha, RGB or RGBA, and the colour profile and EXIF data that go with them."""

    samples: Samples
    profile: bytes | None = None
    exif: bytes | None = None

    @property
    def transparent(self) -> bool:
        """Whether any pixel is not fully opaque."""
        return self.alpha is not None and bool((self.alpha < 255).any())

    @property
    def alpha(self) -> Samples | None:
        """The alpha channel (H, W), or None."""
        return self.samples[:, :, -1] if self.samples.shape[2] in (2, 4) else None


def upscaled_like(picture: Kind, upscale: Upscaler, scale: int) -> Kind:
    """Upscale a PIL image to a PIL image, or a uint8 array to a uint8 array.

    An array is (H, W), or (H, W, C) with 1 to 4 channels: grey, grey and alpha, RGB, RGBA. An image may have any mode
    except those of 32 bits a channel; the result has mode L, LA, RGB or RGBA, with profile and EXIF in its `info`.
    Raises DataError.
    """
    if isinstance(picture, Image.Image):
        try:
            refuse_what_is_read_wrongly(picture)
            exif = _kept(picture)
            given = _picture(ImageOps.exif_transpose(picture), exif)
        except ValueError as error:
            raise DataError(f"this picture cannot be upscaled: {error}") from error
        return to_image(upscaled(given, upscale, scale))
    if not isinstance(picture, np.ndarray):
        raise DataError(f"a picture must be a PIL image or a uint8 array, not {type(picture).__name__}")
    if (
        picture.dtype != np.uint8
        or picture.ndim not in (2, 3)
        or (picture.ndim == 3 and picture.shape[2] not in _SPACES)
    ):
        raise DataError(
            f"a picture must be uint8 (H, W) or (H, W, 1 to 4), not {picture.dtype} {picture.shape}; of numbers in "
            "[0, 1], give (255 * x).round().astype('uint8')"
        )
    if 0 in picture.shape:
        raise DataError(f"a picture of shape {picture.shape} has no pixels: give one of at least 1x1 pixels")
    samples = upscaled(Picture(np.atleast_3d(picture)), upscale, scale).samples
    return samples[:, :, 0] if picture.ndim == 2 else samples


def upscaled(picture: Picture, upscale: Upscaler, scale: int) -> Picture:
    """The picture in `scale` times its size."""
    samples, alpha = picture.samples, picture.alpha
    colours = samples if alpha is None else samples[:, :, :-1]
    if alpha is not None:
        colours = _with_colours_everywhere(colours, alpha)
    sr = upscale(np.require(colours, requirements=("C", "W")))  # torch warns of what cannot be written to
    if alpha is not None:
        sr = np.concatenate([sr, bicubic.upscale(np.ascontiguousarray(alpha[:, :, None]), scale)], axis=2)
    return Picture(sr, picture.profile, picture.exif)


def _with_colours_everywhere(colours: Samples, alpha: Samples) -> Samples:
    """The colours, with those of fully transparent pixels replaced by the nearest visible pixel's."""
    unseen = alpha == 0
    if not unseen.any() or unseen.all():
        return colours
    rows, columns = distance_transform_edt(unseen, return_distances=False, return_indices=True)
    filled: Samples = colours[rows, columns]
    return filled


def upscaling_memory(path: Path, scale: int, suffix: str) -> int:
    """The most bytes that `read_picture`, `upscaled`, `to_image` and `encoded` take for a file; its header is read.

    By pixel, of the file: decoded, converted and copied, and where nothing is seen the place of the nearest that is; of
    what is made: that itself, its copy in Pillow (of four bytes, unless it is grey), and the encoded file. Pillow's
    encoder of WebP alone takes WEBP of what is made. What the network takes is not in it. Raises DataError.
    """
    with opened(path) as image:
        pixels, transparent = image.width * image.height, image.has_transparency_data
        grey = image.mode == "1" or image.mode.startswith(("L", "I;16"))
    given, made = ((16, 4) if grey else (24, 8)) if transparent else (3, 2) if grey else (7, 7)
    encoding = WEBP * scale**2 if suffix.lower() == ".webp" else 0
    return pixels * max(given + made * scale**2, encoding)


def read_picture(path: Path) -> Picture:
    """The picture in a file that `data.images` can read; raises DataError, naming the file."""
    with opened(path) as image:
        exif = _kept(image)
        ImageOps.exif_transpose(image, in_place=True)
        return _picture(image, exif)


def _picture(turned: Image.Image, exif: bytes | None) -> Picture:
    if turned.mode.startswith("I;16"):
        samples = (np.asarray(turned) >> 8).astype(np.uint8)
    else:
        mode = _mode(turned)
        samples = np.array(turned if turned.mode == mode else turned.convert(mode))
    samples = np.atleast_3d(samples)
    profile = turned.info.get("icc_profile")
    fits = profile is not None and profile[16:20] == _SPACES[samples.shape[2]]
    return Picture(samples, profile if fits else None, exif)


def _mode(image: Image.Image) -> str:
    """The mode to convert an image to before its samples are read: L, LA, RGB or RGBA."""
    grey = image.mode in ("1", "L", "LA", "La")
    return ("L" if grey else "RGB") + ("A" if image.has_transparency_data else "")


def _kept(image: Image.Image) -> bytes | None:
    """The EXIF data that stay true after upscaling; None where the image has none, or damaged ones."""
    # Pillow answers damaged EXIF with nearly any exception, or warns; no picture is refused for its metadata.
    with warnings.catch_warnings(), suppress(Exception):
        warnings.simplefilter("ignore")
        stored, kept = image.getexif(), Image.Exif()
        for name in _KEPT_TAGS:
            tag = ExifTags.Base[name]
            if tag in stored:
                kept[tag] = stored[tag]
        for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            left_out = [ExifTags.Base[name] for name in _SIZES_AND_OFFSETS] if part == ExifTags.IFD.Exif else []
            facts = {tag: value for tag, value in stored.get_ifd(part).items() if tag not in left_out}
            if facts:
                kept[part] = facts
        return kept.tobytes() if len(kept) else None
    return None


def to_image(picture: Picture) -> Image.Image:
    """As a PIL image of mode L, LA, RGB or RGBA."""
    samples = picture.samples
    image = Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
    for name, content in {"icc_profile": picture.profile, "exif": picture.exif}.items():
        if content is not None:
            image.info[name] = content
    return image


def check_holds(suffix: str, picture: Picture, scale: int = 1) -> None:
    """Raise DataError (it names no file) unless the format of `suffix` can hold the picture upscaled by `scale`."""
    height, width = (side * scale for side in picture.samples.shape[:2])
    if not has_room(suffix, max(height, width)):
        raise DataError(f"{width}x{height} pixels are more than a {suffix} file can hold; write a .png file")
    if picture.transparent and suffix.lower() in OPAQUE:
        raise DataError(f"it is transparent in places, which a {suffix} file cannot hold; write a .png file")


def has_room(suffix: str, side: int) -> bool:
    """Whether the format of `suffix` can hold a picture with a side of so many pixels."""
    return side <= LARGEST_SIDES.get(suffix.lower(), side)


def encoded(image: Image.Image, suffix: str) -> bytes:
    """The bytes of an image file in the format of a suffix, with the image's profile and EXIF data.

    JPEG has quality 95 and no chroma subsampling; all other formats are lossless. Call `check_holds` first: it refuses
    what the format cannot hold. A fully opaque alpha channel, or EXIF data, are dropped where the format has no room.
    """
    suffix = suffix.lower()
    if suffix in OPAQUE and image.mode in ("LA", "RGBA"):
        image = image.convert(image.mode[:-1])
    metadata = {name: image.info[name] for name in ("icc_profile", "exif") if name in image.info}
    if _FORMATS[suffix] == "JPEG" and len(metadata.get("exif", b"")) > JPEG_EXIF:
        del metadata["exif"]
    content = BytesIO()
    image.save(content, format=_FORMATS[suffix], **SAVE_OPTIONS.get(suffix, {}), **metadata)
    return content.getvalue()
