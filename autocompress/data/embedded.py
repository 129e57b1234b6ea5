"""The photographs that scikit-image ships in its wheel, as a default data set: no download, no path to give.

The split is fixed, by name. Four varied photographs are for validation: a portrait, a man outdoors with a camera
(greyscale), fur, a still life. Their files are lossless, so that no student is scored on compression artefacts. None of
them is in the training part, which shows a street and a machine, a launch at night, cells and textures. Drawings and
scans of text are left out, and so are the moon, galaxies and the retina: large and smooth, they would take most of the
patches and teach little about photographs.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from autocompress.data.sources import ImageFile, ImageSource
from autocompress.errors import DataError
from autocompress.names import EMBEDDED

NAMES = {
    "train": (
        "brick.png",
        "coins.png",
        "grass.png",
        "gravel.png",
        "ihc.png",
        "motorcycle_left.png",
        "motorcycle_right.png",
        "rocket.jpg",
    ),
    "valid": ("astronaut.png", "camera.png", "chelsea.png", "coffee.png"),
}
SCIKIT_IMAGE = ">=0.22"


def embedded(part: Literal["train", "valid"], scale: int) -> ImageSource:
    """The embedded photographs to train on or to validate on; raises DataError where one is missing."""
    folder = _folder()
    files = tuple(ImageFile(Path(name).stem, folder / name) for name in NAMES[part])
    for file in files:
        if not file.hr.is_file():
            raise DataError(
                f"{file.hr}: this embedded photograph is missing from the installed scikit-image; "
                f"install scikit-image{SCIKIT_IMAGE} again, or give a folder of images"
            )
    return ImageSource(f"{EMBEDDED}{part}", scale, files)


def _folder() -> Path:
    """Where scikit-image keeps its data, found without importing it (which takes a second)."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DataError(
            f"scikit-image, whose photographs are the embedded data, is not installed; "
            f"install scikit-image{SCIKIT_IMAGE}, or give a folder of images"
        )
    return Path(spec.origin).parent / "data"
