"""Image files to read."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocompress.data.pictures import encoded


def write_image(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write uint8 RGB (H, W, 3) in the format of the suffix, as `upscale` does."""
    path.write_bytes(encoded(Image.fromarray(rgb), path.suffix))
