"""A small photograph, and a network to upscale it with: what tests of pictures of every kind begin with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageCms

import autocompress
from autocompress.data.embedded import embedded
from autocompress.networks.base import SRNetwork

Samples = NDArray[np.uint8]

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="session")
def network(teacher_file: Path) -> SRNetwork:
    """The tiny teacher, as a user loads it."""
    return autocompress.load(teacher_file)


@pytest.fixture(scope="session")
def photo() -> Samples:
    """A photograph of 40x50 pixels."""
    return embedded("valid", 2).read(2).lr[20:60, 30:80]
