"""Opening a folder of images as a source: only headers are read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autocompress.data.images import IMAGE_SUFFIXES, read_size
from autocompress.data.layouts import check_folder, find_layout, images_in, is_alone, lr_files, lr_of, refuse_mixed
from autocompress.data.sources import ImageFile, ImageSource, sift, wrong_size
from autocompress.errors import DataError
from autocompress.units import quantity


def open_folder(
    folder: Path, scale: int, *, min_size: int, skip_bad_images: bool = False, lr: Sequence[str | Path] = ()
) -> ImageSource:
    """The images of a folder, in natural order of their names, each with its LR file where there is one.

    The folder has HR images (its subfolders are not searched, and hidden files are not seen) or a folder of them; see
    `data.layouts` for how it and its LR images may be called, and for `lr`. Without LR images for this scale, they are
    made of HR. By the one word `only` for `lr` the folder has LR images and there are no HR images: see `ImageSource`.

    Every image must have a header that can be read and no HR side below `min_size` pixels. One that hasn't, or whose
    LR file is of another size, raises DataError, or is left out with `skip_bad_images`.
    """
    if is_alone(lr):
        return _open_lr(folder, scale, min_size=min_size, skip_bad_images=skip_bad_images)
    layout = find_layout(folder, scale, lr)
    hr_paths = images_in(layout.hr)
    if not hr_paths:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(
            f"{layout.hr}: no images in it (looked for {suffixes} files, and for subfolders HR, GT, GTmod12 or "
            "NAME_HR; other subfolders are not searched); give the folder that holds the HR images"
        )
    refuse_mixed(layout.hr, hr_paths, scale)
    found = lr_files(layout.lr)

    def check(hr: Path) -> ImageFile:
        long, short = read_size(hr)
        if short < min_size:
            raise DataError(f"{hr}: {long}x{short} pixels, but both sides must be at least {min_size}; remove it")
        if not layout.lr:
            return ImageFile(names[hr], hr)
        lr = lr_of(hr, scale, found, layout.lr)
        if read_size(lr) != (long // scale, short // scale):
            raise wrong_size(lr, read_size(lr), hr, (long // scale, short // scale), scale)
        return ImageFile(names[hr], hr, lr)

    names = _names(hr_paths)
    files, skipped = sift([(names[hr], hr) for hr in hr_paths], check, skip_bad_images=skip_bad_images)
    return _source(folder, scale, files, skipped)


def _open_lr(folder: Path, scale: int, *, min_size: int, skip_bad_images: bool) -> ImageSource:
    """The images directly in a folder as LR images without HR images."""
    check_folder(folder)
    paths = images_in(folder)
    if not paths:
        raise DataError(f"{folder}: no images in it; give the folder that holds the LR images")
    names, least = _names(paths), -(-min_size // scale)

    def check(lr: Path) -> ImageFile:
        long, short = read_size(lr)
        if short < least:
            raise DataError(f"{lr}: {long}x{short} LR pixels, but both sides must be at least {least}; remove it")
        return ImageFile(names[lr], lr, lr)

    files, skipped = sift([(names[lr], lr) for lr in paths], check, skip_bad_images=skip_bad_images)
    return replace(_source(folder, scale, files, skipped), lr_alone=True)


def _source(folder: Path, scale: int, files: Sequence[ImageFile], skipped: Sequence[tuple[str, str]]) -> ImageSource:
    """Of the good files of a folder; DataError where there is none."""
    name = Path(os.path.abspath(folder)).name  # noqa: PTH100 - resolve() would follow links, which lose their names
    if not files:
        raise DataError(
            f"{folder}: none of its {quantity(len(skipped), 'image')} can be used; the first: {skipped[0][1]}"
        )
    return ImageSource(name, scale, tuple(files), tuple(skipped))


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """Each image's name: its file name without suffix, or with the suffix where two files would have the same name."""
    stems = Counter(path.stem for path in paths)
    return {path: path.stem if stems[path.stem] == 1 else path.name for path in paths}
