"""`autocompress upscale`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autocompress.errors import DataError

if TYPE_CHECKING:
    from autocompress.evaluation.upscaling import Plan
    from autocompress.networks.base import SRNetwork


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(upscale)


def upscale(
    student: Annotated[
        str,
        typer.Argument(
            metavar="STUDENT", help="A run folder (its pick), a student or foreign file, or a shipped teacher's name."
        ),
    ],
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="An image (PNG, JPEG, WebP, BMP or TIFF), or a folder of images.")
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="File to write, in the format of its suffix, or a folder.")
    ],
    overwrite: Annotated[
        bool, typer.Option(help="Replace images that exist. Without it, those in a folder are left as they are.")
    ] = False,
    skip_bad_images: Annotated[bool, typer.Option(help="Go on without images that cannot be used.")] = False,
    tile: Annotated[
        int | None,
        typer.Option(
            help="Run the network on tiles of N pixels a side, which bounds memory.",
            metavar="N",
            show_default="chosen for large images",
        ),
    ] = None,
    res_scale: Annotated[float | None, typer.Option(help="Residual scaling of an EDSR from elsewhere.")] = None,
) -> None:
    """Upscale an image, or all images of a folder (not those of its subfolders), on the GPU where there is one.

    Greyscale, transparency, orientation, colour profile and what EXIF says of the picture are kept; 16 bits become 8.
    JPEG is written with quality 95, everything else without loss. A folder that was interrupted goes on where it was.

    Example: autocompress upscale runs/edsr-20G-seed0 photo.jpg photo-x2.png
    """
    import torch

    from autocompress.evaluation.upscaling import plan
    from autocompress.networks.teachers import load_teacher
    from autocompress.networks.upscaling import check_tile

    check_tile(tile)
    network = load_teacher(_file(student), res_scale=res_scale).to("cuda" if torch.cuda.is_available() else "cpu")
    wanted = plan(source, out, network.scale, overwrite=overwrite, skip_bad_images=skip_bad_images)
    try:
        made = _make(wanted, network, tile, skip_bad_images)
    except KeyboardInterrupt:
        typer.echo("Interrupted; what is written is whole.", err=True)
        sys.exit(130)
    for path in made:
        typer.echo(path)


def _file(student: str) -> str:
    """Of a run the file of its pick; of anything else what it is."""
    if not Path(student).is_dir():
        return student
    from autocompress.search.results.front import pareto, pick
    from autocompress.search.run.folder import RunFolder

    return str(pick(pareto(RunFolder.existing(Path(student))))["file"])


def _make(wanted: Plan, network: SRNetwork, tile: int | None, skip_bad_images: bool) -> list[Path]:
    """The files that were made, one after the other; DataError where none of those that were to be could be."""
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
    with step_display(sum(tiles), "tile") as display:
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
    return made
