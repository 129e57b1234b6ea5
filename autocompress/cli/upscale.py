"""`autocompress upscale`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typing_extensions import override

from autocompress.cli.options import complete_network, with_network_options
from autocompress.cli.printing import echo
from autocompress.errors import InvalidInput
from autocompress.io import package_files


class _Upscale(TyperCommand):
    """Of two or three arguments, it is the first that may be left out, which no parser can say."""

    @override
    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", "[MODEL]", "{IN}", "{OUT}"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=_Upscale)(upscale)


@with_network_options
def upscale(
    *,
    first: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A run folder (its pick), a student or foreign file, or a shipped network's name (see `models list`). "
            f"Left out, where two arguments are given: {package_files.DEFAULT_MODEL}.",
            show_default=False,
            autocompletion=complete_network,
        ),
    ] = None,
    second: Annotated[
        str, typer.Argument(metavar="IN", help="An image (PNG, JPEG, WebP, BMP or TIFF), or a folder of images.")
    ],
    third: Annotated[
        str | None,
        typer.Argument(
            metavar="OUT", help="File to write, in the format of its suffix, or a folder.", show_default=False
        ),
    ] = None,
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

    Example: autocompress upscale photo.jpg photo-x2.png

    By another network: autocompress upscale runs/edsr-20G-seed0 photo.jpg photo-x2.png
    """
    from autocompress import api

    model, source, out = (None, str(first), second) if third is None else (first, second, third)
    if model is None and package_files.network_file(source) is not None:
        raise InvalidInput(f"{source} is a network, and {out} the image; add the file to write")
    try:
        result = api.upscale(
            model,
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
