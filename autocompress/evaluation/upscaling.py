"""Upscaling image files: which are made of which, and one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autocompress.data.images import IMAGE_SUFFIXES, read_size
from autocompress.data.pictures import check_holds, encoded, has_room, read_picture, to_image, upscaled
from autocompress.data.sources import images_in, sift
from autocompress.errors import DataError, DiskFull, InvalidInput
from autocompress.io.checkpoints import write_bytes
from autocompress.networks.upscaling import Upscaler


@dataclass(frozen=True)
class Job:
    """A file to make of another, whose picture has sides of so many pixels."""

    source: Path
    target: Path
    sides: tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """What is to be made, what exists already and is left as it is, and why images were left out."""

    jobs: list[Job]
    existing: list[Path]
    skipped: list[str]


def plan(source: Path, out: Path, scale: int, *, overwrite: bool, skip_bad_images: bool) -> Plan:
    """What upscaling the image `source` to the file or into the folder `out`, or a folder to a folder, is to make.

    Of a folder its own images are taken, not those of subfolders or hidden ones. They keep their names, but for the
    suffix where it says no format, or one that cannot hold the larger picture, which becomes a PNG. Of all the headers
    are read.
    An image that exists already is left out, unless `overwrite`; where it is the only one, that is InvalidInput.
    DataError where there are no images to upscale, or a bad one, unless they are skipped.
    """
    if not source.is_dir():
        job = _job(source, _target_file(source, out), scale)
        if job.target.exists() and not overwrite:
            raise InvalidInput(f"{job.target} exists already; add --overwrite to replace it, or give another name")
        return Plan([job], [], [])
    if out.exists() and not out.is_dir():
        raise InvalidInput(f"{source} is a folder, but {out} is a file; give a folder to write to")
    sources = images_in(source)
    if not sources:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(f"{source}: no images in it (looked for {suffixes} files); subfolders are not searched")
    jobs, skipped = sift(
        [(path.name, path) for path in sources],
        lambda path: _job(path, out / path.name, scale),
        skip_bad_images=skip_bad_images,
    )
    if not jobs:
        raise DataError(f"{source}: none of its {len(sources)} images can be used; the first: {skipped[0][1]}")
    _check_distinct(jobs)
    existing = [] if overwrite else [job.target for job in jobs if job.target.exists()]
    return Plan([job for job in jobs if job.target not in existing], existing, [reason for _, reason in skipped])


def upscale_file(job: Job, upscale: Upscaler, scale: int) -> None:
    """Make the file, complete or not at all, and its folder where there is none; raises DataError, naming a file."""
    picture = read_picture(job.source)
    try:
        check_holds(job.target.suffix, picture, scale)
    except DataError as error:
        raise DataError(f"{job.source}: {error}") from error
    image = to_image(upscaled(picture, upscale, scale))
    del picture  # encoders need room: that of WebP as much again as all of this
    try:
        content = encoded(image, job.target.suffix)
    # Pillow's encoders answer what they cannot write with nearly any exception: OSError, ValueError, struct.error...
    except Exception as error:
        raise DataError(f"{job.target}: cannot be encoded ({error}); write a .png file") from error
    try:
        write_bytes(job.target, content)
    except DiskFull:
        raise
    except OSError as error:
        raise DataError(f"{job.target}: cannot be written ({error.strerror or error})") from error


def _target_file(source: Path, out: Path) -> Path:
    if out.is_dir():
        name = source.name if source.suffix.lower() in IMAGE_SUFFIXES else f"{source.stem}.png"
        return out / name
    if out.suffix.lower() not in IMAGE_SUFFIXES:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise InvalidInput(f"{out} ends in {out.suffix!r}; write a file that ends in one of {suffixes}, or to a folder")
    return out


def _job(source: Path, target: Path, scale: int) -> Job:
    """With a target that can hold the picture; InvalidInput where that is the source."""
    sides = read_size(source)
    if not has_room(target.suffix, sides[0] * scale):
        target = target.with_suffix(".png")
    if target.exists() and target.samefile(source):
        raise InvalidInput(f"{source} would be replaced by what is made of it; write to another file or folder")
    return Job(source, target, sides)


def _check_distinct(jobs: list[Job]) -> None:
    """Raise DataError where two files would be made under one name."""
    first: dict[Path, Path] = {}
    for job in jobs:
        other = first.setdefault(job.target, job.source)
        if other != job.source:
            raise DataError(f"{other} and {job.source} would both become {job.target}; rename one")
