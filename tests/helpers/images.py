"""Image files that tests write."""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocompress.data.pictures import encoded


def write_waves(path: Path, height: int, width: int, seed: int) -> None:
    """A PNG of some coloured waves with a little noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = 128 + random.normal(0, 2, (height, width, 3))
    for _ in range(6):
        along_y, along_x, phase = random.uniform((-0.6, -0.6, 0), (0.6, 0.6, 6))
        image += random.uniform(-25, 25, 3) * np.sin(along_y * y + along_x * x + phase)[:, :, None]
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path)


def write_image(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write uint8 RGB (H, W, 3) in the format of the suffix, as `upscale` does."""
    path.write_bytes(encoded(Image.fromarray(rgb), path.suffix))


def write_16_bit_png(path: Path, samples: NDArray[np.uint16], colour_type: int) -> None:
    """Write a 16-bit PNG (H, W, C): Pillow and scikit-image can't for colour."""
    height, width = samples.shape[:2]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def disc(photo: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photograph within a disc, and nothing but black around it; and its alpha."""
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    alpha = (255 * (np.hypot(y - 20, x - 25) < 15)).astype(np.uint8)
    return np.where(alpha[:, :, None] > 0, photo, 0).astype(np.uint8), alpha
