"""`autocompress upscale`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from autocompress.cli.options import with_network_options
from autocompress.cli.printing import echo


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(upscale)


@with_network_options
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
    **overrides: Any,
) -> None:
    """Upscale an image, or all images of a folder (not those of its subfolders), on the GPU where there is one.

    Greyscale, transparency, orientation, colour profile and what EXIF says of the picture are kept; 16 bits become 8.
    JPEG is written with quality 95, everything else without loss. A folder that was interrupted goes on where it was.

    Example: autocompress upscale runs/edsr-20G-seed0 photo.jpg photo-x2.png
    """
    from autocompress import api

    try:
        result = api.upscale(
            student,
            source,
            out,
            overwrite=overwrite,
            skip_bad_images=skip_bad_images,
            tile=tile,
            **overrides,
        )
    except KeyboardInterrupt:
        echo("Interrupted; what is written is whole.", err=True)
        sys.exit(130)
    for file in result.files:
        echo(file)
