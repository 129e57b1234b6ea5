"""All pairs of a source as flat arrays of pixels, decoded once and shared by every process of a machine.

Pixel (y, x) of image i's LR is row `offsets[i] + y * widths[i] + x` of `lr`; of its HR, row
`scale**2 * offsets[i] + y * scale * widths[i] + x` of `hr`. Anything that has a value for every HR pixel,
such as a teacher's output, can be kept in the same order beside it.

The arrays are memory-mapped from the cache folder: workers share the same pages, and nothing is read before
it is needed.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from autocompress.data.sources import ImageSource, sift
from autocompress.errors import DataError
from autocompress.io import cache
from autocompress.progress import OnDone, untold
from autocompress.units import images_in_words, quantity

FORMAT = 1  # goes into the cache key: raise it when the files below or the bicubic that fills them change


@dataclass(frozen=True, eq=False)
class PixelBank:
    """The decoded pixels of `len(bank)` image pairs.

    `lr`: uint8 (N, 3); `hr`: uint8 (scale**2 * N, 3); `offsets`, `heights`, `widths`: int64 (images,), in LR
    pixels. The two pixel arrays are private mappings: what is written to them never reaches the files.
    """

    key: str
    scale: int
    names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    lr: Tensor
    hr: Tensor
    offsets: Tensor
    heights: Tensor
    widths: Tensor

    @classmethod
    def open(
        cls,
        source: ImageSource,
        *,
        skip_bad_images: bool = False,
        on_image: OnDone = untold,
    ) -> "PixelBank":
        """The bank of a source, from the cache or built now, which decodes every image.

        `on_image` is told how many are decoded, of how many.


        Raises DataError, naming the file, for the first image that can't be decoded; with `skip_bad_images`
        it is left out and listed in `skipped`.
        """
        key = f"{source.digest}-{FORMAT}"

        def build(folder: Path) -> None:
            _build(folder, source, on_image, skip_bad_images=skip_bad_images)

        folder = cache.entry(
            "pixels", key, build, about=images_in_words(len(source), source.name), size=_estimated_bytes(source)
        )
        index = json.loads((folder / "index.json").read_text())
        if index["skipped"] and not skip_bad_images:
            raise DataError(index["skipped"][0][1])
        heights, widths = (torch.tensor(index[side], dtype=torch.int64) for side in ("heights", "widths"))
        areas = heights * widths
        return cls(
            key=key,
            scale=source.scale,
            names=tuple(index["names"]),
            skipped=source.skipped + tuple((name, reason) for name, reason in index["skipped"]),
            lr=_mapped(folder / "lr.u8", int(areas.sum())),
            hr=_mapped(folder / "hr.u8", int(areas.sum()) * source.scale**2),
            offsets=areas.cumsum(0) - areas,
            heights=heights,
            widths=widths,
        )

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str) -> "PixelBank":
        """The same with its pixels on another device."""
        return replace(self, lr=self.lr.to(device), hr=self.hr.to(device))

    def lr_image(self, index: int) -> Tensor:
        """uint8 (h, w, 3), a view."""
        return self._image(self.lr, index, 1)

    def hr_image(self, index: int) -> Tensor:
        """uint8 (scale*h, scale*w, 3), a view."""
        return self._image(self.hr, index, self.scale)

    def _image(self, pixels: Tensor, index: int, scale: int) -> Tensor:
        start, height, width = (int(table[index]) for table in (self.offsets, self.heights, self.widths))
        rows = pixels[start * scale**2 : (start + height * width) * scale**2]
        return rows.view(height * scale, width * scale, 3)


def _build(folder: Path, source: ImageSource, on_image: OnDone, *, skip_bad_images: bool) -> None:
    with (folder / "lr.u8").open("wb") as lr_file, (folder / "hr.u8").open("wb") as hr_file:

        def append(index: int) -> tuple[str, int, int]:
            pair = source.read(index)
            lr_file.write(pair.lr.data)
            hr_file.write(pair.hr.data)
            on_image(index + 1, len(source))
            return pair.name, pair.lr.shape[0], pair.lr.shape[1]

        candidates = [(file.name, index) for index, file in enumerate(source.files)]
        images, skipped = sift(candidates, append, skip_bad_images=skip_bad_images)
    if not images:
        reason = f"; the first: {skipped[0][1]}" if skipped else ""
        raise DataError(f"{source.name}: none of its {quantity(len(source), 'image')} can be used{reason}")
    if replace(source).digest != source.digest:  # else they would be taken for what was there, from now on
        raise DataError(f"{source.name}: images changed while they were decoded; give the same command again")
    names, heights, widths = zip(*images, strict=True)
    index = {"names": names, "heights": heights, "widths": widths, "skipped": skipped}
    (folder / "index.json").write_text(json.dumps(index))


def _estimated_bytes(source: ImageSource) -> int:
    """An upper bound from the images' headers; an image with an unreadable header counts 0 and fails when decoded."""
    sizes, _ = sift([(file.name, file) for file in source.files], source.hr_sides, skip_bad_images=True)
    sides = [(-(-long // source.scale), -(-short // source.scale)) for long, short in sizes]
    if source.window is not None:
        sides = [source.window.sides(long, short, source.scale) for long, short in sides]
    return 3 * (1 + source.scale**2) * sum(long * short for long, short in sides)


def _mapped(path: Path, rows: int) -> Tensor:
    """The file's bytes as a read-only mapped uint8 tensor (rows, 3)."""
    return torch.from_file(str(path), shared=False, size=rows * 3, dtype=torch.uint8).view(rows, 3)
