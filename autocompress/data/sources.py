"""Sets of images: their files, and their LR and HR pairs.

A source knows files, not pixels: a pair is decoded when it is asked for. Bad images are handled in one place, `sift`:
`folders.open_folder` uses it to check headers and sizes, the pixel bank (which decodes everything once) for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from autocompress.data.bicubic import downscale, upscale
from autocompress.data.images import read_image, read_size
from autocompress.data.layouts import MADE
from autocompress.errors import DataError
from autocompress.names import name_bytes
from autocompress.units import images_in_words

BLOCK = 16  # LR pixels a side, in which an LR image is compared with its HR image
MOST_APART = 25.0  # levels; degraded images are a few apart, other photographs 40 to 100
Candidate = TypeVar("Candidate")
Good = TypeVar("Good")


@dataclass(frozen=True)
class ImageFile:
    """One image of a source: its HR file, and its LR file where one is given; that file twice where it is alone."""

    name: str
    hr: Path
    lr: Path | None = None


@dataclass(frozen=True, eq=False)
class ImagePair:
    """One decoded image: `lr` uint8 (h, w, 3), `hr` uint8 (scale*h, scale*w, 3)."""

    name: str
    lr: NDArray[np.uint8]
    hr: NDArray[np.uint8]


@dataclass(frozen=True)
class Window:
    """A part of every image, with a `share` of its pixels and its shape; where it lies follows from the image's name.

    No side is below `min_size` HR pixels, where the image has as many.
    """

    share: float
    min_size: int

    def sides(self, height: int, width: int, scale: int) -> tuple[int, int]:
        """Height and width of the window in an image of so many LR pixels."""
        least = -(-self.min_size // scale)
        rows, columns = (min(side, max(least, round(side * math.sqrt(self.share)))) for side in (height, width))
        return rows, columns

    def cut(self, name: str, height: int, width: int, scale: int) -> tuple[slice, slice]:
        """Rows and columns of the window in an image of so many LR pixels."""
        rows, columns = self.sides(height, width, scale)
        place = int.from_bytes(_shuffle_key(name, seed=0)[:8])
        top, left = place % (height - rows + 1), (place >> 32) % (width - columns + 1)
        return slice(top, top + rows), slice(left, left + columns)


@dataclass(frozen=True)
class ImageSource:
    """An ordered, immutable set of images at one scale, read when asked for."""

    name: str
    scale: int
    files: tuple[ImageFile, ...]
    skipped: tuple[tuple[str, str], ...] = ()  # (image name, why it was left out)
    window: Window | None = None  # of each image, this much is taken
    lr_alone: bool = False  # there are no HR images: a pair has bicubic's until a teacher makes them

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> ImagePair:
        """Decode one pair: HR cropped (right, bottom) to a multiple of the scale; LR read, or made of HR.

        Of LR images alone, HR is what bicubic makes of them.

        Raises DataError, naming the file, for what can't be read and for an LR file of the wrong size.
        """
        file = self.files[index]
        if self.lr_alone:
            lr = self._cut_lr(file, read_image(file.hr))
            return ImagePair(file.name, lr, upscale(lr, self.scale))
        hr = read_image(file.hr)
        height, width = (side // self.scale for side in hr.shape[:2])
        if not (height and width):
            raise DataError(f"{file.hr}: smaller than one LR pixel at scale {self.scale}; remove it")
        rows, columns = slice(0, height), slice(0, width)
        if self.window is not None:
            rows, columns = self.window.cut(file.name, height, width, self.scale)
        hr_rows, hr_columns = (slice(part.start * self.scale, part.stop * self.scale) for part in (rows, columns))
        hr = np.ascontiguousarray(hr[hr_rows, hr_columns])
        if file.lr is None:
            return ImagePair(file.name, downscale(hr, self.scale), hr)
        lr = read_image(file.lr)
        if lr.shape[:2] != (height, width):
            raise wrong_size(file.lr, (lr.shape[1], lr.shape[0]), file.hr, (width, height), self.scale)
        pair = ImagePair(file.name, np.ascontiguousarray(lr[rows, columns]), hr)
        if (apart := _levels_apart(pair, self.scale)) > MOST_APART:
            raise DataError(
                f"{file.lr}: seems to be of another picture than {file.hr} ({apart:.0f} of 255 levels apart in the "
                "mean); check which belongs to which, or remove both"
            )
        return pair

    def _cut_lr(self, file: ImageFile, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.window is None:
            return lr
        height, width = lr.shape[:2]
        rows, columns = self.window.cut(file.name, height, width, self.scale)
        return np.ascontiguousarray(lr[rows, columns])

    def hr_sides(self, file: ImageFile) -> tuple[int, int]:
        """The long and the short side of an HR image, by its file's header; raises DataError as `read_size` does."""
        long, short = read_size(file.hr)
        return (long * self.scale, short * self.scale) if self.lr_alone else (long, short)

    def within(self, pixels: int, min_size: int) -> ImageSource:
        """Itself if its HR images have at most so many pixels together; else the same share of each image, one window.

        No window has a side below `min_size` HR pixels, so it can be more for very many images.
        """
        total = sum(long * short for long, short in map(self.hr_sides, self.files))
        return self if total <= pixels else replace(self, window=Window(pixels / total, min_size))

    @property
    def lr_said(self) -> str:
        """In words whether LR images are read, and from where, or made."""
        if self.lr_alone:
            return "LR images alone: what the teacher makes of them stands for HR"
        folders = list(dict.fromkeys(str(file.lr.parent) for file in self.files if file.lr is not None))
        return f"LR read from {' and '.join(folders)}" if folders else "LR made by bicubic"

    @property
    def described(self) -> str:
        """How many images of which set, and how much of them."""
        share = "" if self.window is None else f" ({self.window.share:.1%} of their pixels, a window of each)"
        return images_in_words(len(self), self.name) + share

    @property
    def digests(self) -> dict[str, str]:
        """A short hex hash of each image's bytes, by its name, so that a change can be told by name."""
        whole = {file.name: "".join(_file_digest(path) for path in (file.hr, file.lr) if path) for file in self.files}
        return {name: blake2b(digest.encode(), digest_size=4).hexdigest() for name, digest in whole.items()}

    @cached_property
    def digest(self) -> str:
        """Hex hash of the scale, the window and every image's name and bytes, in order; paths do not matter."""
        total = blake2b(f"scale {self.scale}".encode(), digest_size=16)
        for file in self.files:
            parts = [_file_digest(path) for path in (file.hr, file.lr) if path]
            total.update(f"\n{file.name!r} {' '.join(parts)}".encode())
        if self.window is not None:
            total.update(f"\n{self.window}".encode())
        if self.lr_alone:
            total.update(b"\nLR alone")
        return total.hexdigest()

    def subset(self, indices: Iterable[int]) -> ImageSource:
        """The images at `indices`, in that order; `skipped` stays the same."""
        return replace(self, files=tuple(self.files[index] for index in indices))

    def split(self, share: float, seed: int) -> tuple[ImageSource, ImageSource]:
        """(the other images, a `share` of the images that is held out), at least one image each.

        A hash of its name and the seed decides for each image: this is the same in all versions of Python, and adding
        or removing an image hardly changes it for the others. Raises DataError for fewer than two images.
        """
        if not 0 < share < 1:
            raise DataError(f"a share of {share} cannot be held out: it must lie between 0 and 1")
        if len(self) < 2:
            raise DataError(
                f"{self.name}: {len(self)} image is too few to hold some out for validation; "
                "add images, or give a validation folder"
            )
        count = min(max(1, round(share * len(self))), len(self) - 1)
        order = sorted(range(len(self)), key=lambda index: _shuffle_key(self.files[index].name, seed))
        held_out = set(order[:count])
        rest = [index for index in range(len(self)) if index not in held_out]
        return (
            replace(self.subset(rest), name=f"{self.name}-train"),
            replace(self.subset(sorted(held_out)), name=f"{self.name}-valid"),
        )


def wrong_size(lr: Path, sides: tuple[int, int], hr: Path, needed: tuple[int, int], scale: int) -> DataError:
    """The error for an LR file of other sides, both in pixels, than its HR file needs."""
    return DataError(
        f"{lr}: {sides[0]}x{sides[1]} pixels, but {hr.name} at scale {scale} needs {needed[0]}x{needed[1]}; "
        f"give the folder of the right LR images as --lr DIR, or --lr {MADE} to have them made"
    )


def sift(
    candidates: Iterable[tuple[str, Candidate]], check: Callable[[Candidate], Good], *, skip_bad_images: bool
) -> tuple[list[Good], list[tuple[str, str]]]:
    """`check` each (name, candidate): the list of its results, and (name, reason) for each that raised DataError.

    Without `skip_bad_images` the first DataError is raised.
    """
    good: list[Good] = []
    skipped: list[tuple[str, str]] = []
    for name, candidate in candidates:
        try:
            good.append(check(candidate))
        except DataError as error:
            if not skip_bad_images:
                raise
            skipped.append((name, str(error)))
    return good, skipped


def _levels_apart(pair: ImagePair, scale: int) -> float:
    """How far LR is from HR in the mean of blocks, where noise, blur and compression make no difference."""
    height, width = (side // BLOCK * BLOCK for side in pair.lr.shape[:2])
    if not (height and width):
        return 0.0
    lr = pair.lr[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3).mean((1, 3))
    cut = pair.hr[: height * scale : scale, : width * scale : scale]
    hr = cut.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3).mean((1, 3))
    return float(np.abs(lr - hr).mean())


def _file_digest(path: Path) -> str:
    """Hex hash of a file's bytes; the file is read again only if its size or modification time has changed."""
    try:
        state = path.stat()
        return _digest_of_state(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file") from error


@cache
def _digest_of_state(path: Path, size: int, changed_ns: int) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _shuffle_key(name: str, seed: int) -> bytes:
    return blake2b(name_bytes(f"{seed} {name}"), digest_size=16).digest()
