"""`upscale`: images, or a folder of them, by a student."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress.api._named import check_named
from autocompress.data.images import read_size
from autocompress.errors import DataError
from autocompress.io import package_files
from autocompress.io.arguments import typed_arguments

if TYPE_CHECKING:
    from autocompress.evaluation.upscaling import Plan
    from autocompress.networks.base import SRNetwork


@dataclass(frozen=True)
class Upscaled:
    """The files that were written; those that were there and were left as they are; why others were left out."""

    files: list[Path]
    existing: list[Path]
    left_out: list[str]


@typed_arguments
def upscale(
    student: str | Path | None,
    source: str | Path,
    out: str | Path,
    *,
    overwrite: bool = False,
    skip_bad_images: bool = False,
    tile: int | None = None,
    progress: bool = True,
    **overrides: Any,
) -> Upscaled:
    """Upscale an image, or all images of a folder (not those of its subfolders), on the GPU where there is one.

    student: a run folder (its pick), a student or foreign file, or a shipped network's name (see `models`). None: a
        shipped network for x2, which is named in what it says.
    source, out: a file each, or a folder each; a folder that was interrupted goes on where it was.
    overwrite: replace images that exist. Without it, those in a folder are left as they are.
    tile: run the network on tiles of so many pixels a side, which bounds memory.

    Raises InvalidInput for what cannot be used, DataError where no image can be.
    """
    by_default = student is None
    student = _weights(package_files.DEFAULT_MODEL if student is None else str(student))
    check_named(networks=[student], codes=[overrides.get("code")])
    if not Path(source).is_dir():
        read_size(Path(source))
    if by_default and progress:
        print(f"by {student}, which ships with autocompress (others: autocompress models list)", file=sys.stderr)

    import torch

    from autocompress.evaluation.upscaling import plan
    from autocompress.networks.teachers import load_teacher
    from autocompress.networks.upscaling import check_tile

    check_tile(tile)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = load_teacher(student, **overrides).to(device)
    wanted = plan(Path(source), Path(out), network.scale, overwrite=overwrite, skip_bad_images=skip_bad_images)
    return _upscaled(wanted, network, tile, skip_bad_images, progress)


def _weights(student: str) -> str:
    """The file to load: for a run its pick's, for anything else the argument itself."""
    if package_files.network_file(student) is not None or not Path(student).is_dir():
        return student
    from autocompress.search.results.rows import front_rows, pick
    from autocompress.search.run.folder import RunFolder

    return str(pick(front_rows(RunFolder.existing(Path(student))))["file"])


def _upscaled(wanted: Plan, network: SRNetwork, tile: int | None, skip_bad_images: bool, progress: bool) -> Upscaled:
    from autocompress.evaluation.upscaling import upscale_file
    from autocompress.networks.upscaling import network_upscaler, used_tiling
    from autocompress.terminal import step_display

    tiles = [used_tiling(network, *job.sides, tile).count(*job.sides) for job in wanted.jobs]
    done, made, reasons = 0, [], list(wanted.skipped)

    def on_tile() -> None:
        nonlocal done
        done += 1
        display.step(done)

    run = network_upscaler(network, tile, on_tile)
    with step_display(sum(tiles), "tile", quiet=not progress) as display:
        for reason in reasons:
            display.log(f"left out: {reason}")
        if wanted.existing:
            display.log(f"{len(wanted.existing)} exist already and are left as they are; --overwrite replaces them")
        for index, job in enumerate(wanted.jobs):
            try:
                upscale_file(job, run, network.scale)
            except DataError as error:
                if not skip_bad_images:
                    raise
                display.log(f"left out: {error}")
                reasons.append(str(error))
            else:
                made.append(job.target)
            done = sum(tiles[: index + 1])
    if wanted.jobs and not made:
        raise DataError(f"none of the images can be used; the first: {reasons[0]}")
    return Upscaled(made, list(wanted.existing), reasons)
