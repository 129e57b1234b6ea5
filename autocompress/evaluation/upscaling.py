"""Upscaling image files: planning which file is made from which, and making one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autocompress.data.images import IMAGE_SUFFIXES, read_size
from autocompress.data.layouts import images_in
from autocompress.data.pictures import (
    check_holds,
    encoded,
    has_room,
    read_picture,
    to_image,
    upscaled,
    upscaling_memory,
)
from autocompress.data.sources import sift
from autocompress.errors import DataError, DiskFull, InvalidInput, is_out_of_memory
from autocompress.io.atomic import write_bytes
from autocompress.io.free_memory import free_memory
from autocompress.io.outputs import check_file, check_folder
from autocompress.networks.upscaling import Upscaler
from autocompress.units import format_count, quantity


@dataclass(frozen=True)
class Job:
    """A file to be made from another, and the sides of the new picture in pixels."""

    source: Path
    target: Path
    sides: tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """The files to make, those that exist already and stay as they are, and the images left out with the reasons."""

    jobs: list[Job]
    existing: list[Path]
    skipped: list[str]


def plan(
    source: Path,
    out: Path,
    scale: int,
    *,
    overwrite: bool,
    skip_bad_images: bool,
    free: Callable[[], int | None] = free_memory,
) -> Plan:
    """Plan to upscale the image `source` to the file or into the folder `out`, or a folder of images into a folder.

    In a folder, images in subfolders and hidden ones are not taken. Files keep their names; the suffix becomes .png if
    its format cannot be written, or cannot hold the larger picture. All headers are read.
    A file that exists already is not made again, unless `overwrite`; InvalidInput if it is the only one.
    An image that takes more than the `free` bytes of memory is a bad one. Raises DataError if there are no images to
    upscale, and for a bad one unless bad images are skipped.
    """
    if not source.is_dir():
        job = _job(source, _target_file(source, out), scale, free())
        if job.target.exists() and not overwrite:
            raise InvalidInput(f"{job.target} exists already; add --overwrite to replace it, or give another name")
        check_file(job.target, "OUT")
        return Plan([job], [], [])
    if out.exists() and not out.is_dir():
        raise InvalidInput(f"{source} is a folder, but {out} is a file; give a folder to write to")
    check_folder(out, "OUT")
    sources = images_in(source)
    if not sources:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(f"{source}: no images in it (looked for {suffixes} files); subfolders are not searched")
    memory = free()
    jobs, skipped = sift(
        [(path.name, path) for path in sources],
        lambda path: _job(path, out / path.name, scale, memory),
        skip_bad_images=skip_bad_images,
    )
    if not jobs:
        raise DataError(
            f"{source}: none of its {quantity(len(sources), 'image')} can be used; the first: {skipped[0][1]}"
        )
    _check_distinct(jobs)
    existing = [] if overwrite else [job.target for job in jobs if job.target.exists()]
    return Plan([job for job in jobs if job.target not in existing], existing, [reason for _, reason in skipped])


def upscale_file(job: Job, upscale: Upscaler, scale: int) -> None:
    """Make the file, complete or not at all, and its folder if need be; raises DataError, which names a file."""
    try:
        _upscale_file(job, upscale, scale)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise DataError(
            f"{job.source}: cannot be upscaled (no memory is left); free some, or cut it into pieces"
        ) from error


def _upscale_file(job: Job, upscale: Upscaler, scale: int) -> None:
    picture = read_picture(job.source)
    try:
        check_holds(job.target.suffix, picture, scale)
    except DataError as error:
        raise DataError(f"{job.source}: {error}") from error
    image = to_image(upscaled(picture, upscale, scale))
    del picture  # frees memory for the encoder: that of WebP needs as much as all of this
    try:
        content = encoded(image, job.target.suffix)
    except MemoryError:
        raise
    # Pillow's encoders raise nearly any exception for what they cannot write: OSError, ValueError, struct.error...
    except Exception as error:
        raise DataError(f"{job.target}: cannot be encoded ({error}); write a .png file") from error
    try:
        write_bytes(job.target, content)
    except DiskFull:
        raise
    except OSError as error:
        raise DataError(f"{job.target}: cannot be written ({error.strerror or error}); give another place") from error


def _target_file(source: Path, out: Path) -> Path:
    if out.is_dir():
        name = source.name if source.suffix.lower() in IMAGE_SUFFIXES else f"{source.stem}.png"
        return out / name
    if out.suffix.lower() not in IMAGE_SUFFIXES:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise InvalidInput(f"{out} ends in {out.suffix!r}; write a file that ends in one of {suffixes}, or to a folder")
    return out


def _job(source: Path, target: Path, scale: int, free: int | None) -> Job:
    """The job, with a target whose format can hold the picture; InvalidInput if the target is the source itself.

    DataError for a picture that takes more memory than is free.
    """
    sides = read_size(source)
    if not has_room(target.suffix, sides[0] * scale):
        target = target.with_suffix(".png")
    needed = upscaling_memory(source, scale, target.suffix)
    if free is not None and needed > free:
        raise DataError(
            f"{source}: {sides[0]}x{sides[1]} pixels take up to {format_count(needed)}B of memory to be upscaled by "
            f"{scale}, but {format_count(free)}B are free; cut it into pieces, or free some"
        )
    if target.exists() and target.samefile(source):
        raise InvalidInput(f"{source} would be replaced by what is made of it; write to another file or folder")
    return Job(source, target, sides)


def _check_distinct(jobs: list[Job]) -> None:
    """Raise DataError if two files would get the same name."""
    first: dict[Path, Path] = {}
    for job in jobs:
        other = first.setdefault(job.target, job.source)
        if other != job.source:
            raise DataError(f"{other} and {job.source} would both become {job.target}; rename one")
