"""`autocompress teacher`: the trained networks that ship with the package, and training others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from autocompress.cli.options import (
    AllowWeakTeacher,
    LRFolders,
    Quiet,
    TrainPixels,
    complete_network,
    with_network_and_target_code,
    with_network_options,
)
from autocompress.cli.printing import Table, echo, show
from autocompress.units import decibels

commands = typer.Typer(help="Teachers: those that ship with the package, and training others.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(commands, name="teacher")


@commands.command("list")
def list_teachers() -> None:
    """Name every shipped teacher.

    Example: autocompress teacher list
    """

    from autocompress import api
    from autocompress.units import format_count

    table = Table()
    table.add_column("name", no_wrap=True)  # it is what one types
    for heading in ("family", "scale", "FLOPs", "params", "PSNR-Y dB"):
        table.add_column(heading)
    for teacher in api.teachers():
        about = teacher.about
        scores = ", ".join(f"{data} {decibels(scores['psnr_y'])}" for data, scores in about["metrics"].items())
        costs = (format_count(about["flops"]), format_count(about["params"]))
        table.add_row(teacher.name, about["family"], f"x{about['scale']}", *costs, scores)
    show(table)


@commands.command("show")
@with_network_options
def show_teacher(
    name: Annotated[
        str, typer.Argument(help="A shipped network's name, or a file of weights.", autocompletion=complete_network)
    ],
    **overrides: Any,
) -> None:
    """Print what is known of a teacher as JSON: config, cost and, where it ships with the package, provenance.

    Example: autocompress teacher show swinir-s-x2
    """
    from autocompress import api

    echo(json.dumps(api.describe_teacher(name, **overrides), indent=2))


@commands.command("train")
@with_network_and_target_code
def train_teacher(
    out: Annotated[Path, typer.Option(help="File to write, such as teachers/swinir.safetensors.")],
    family: Annotated[
        str | None, typer.Argument(help="Family of the network, as in `spaces list`.", show_default="that of --code")
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A field of the family's config, such as embed_dim=48, or an argument of --code.",
            show_default="the usual network",
        ),
    ] = None,
    scale: Annotated[
        int | None, typer.Option(help="Upscaling factor: 2, 3 or 4.", show_default="2, or that of --start")
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(help="Folder of HR (full-size) images to train on.", show_default="scikit-image's photographs"),
    ] = None,
    train_pixels: TrainPixels = None,
    lr: LRFolders = None,
    val: Annotated[
        Path | None,
        typer.Option(help="Folder of HR images for the learning curve.", show_default="scikit-image's photographs"),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="Weights to go on from: a name or a file.", show_default="random ones", autocompletion=complete_network
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="A network to learn from, beside the images: a name or a file.",
            show_default="none",
            autocompletion=complete_network,
        ),
    ] = None,
    allow_weak_teacher: AllowWeakTeacher = False,
    teacher_share: Annotated[
        float, typer.Option(help="Share of the loss to --target; the rest is to the images.")
    ] = 0.5,
    steps: Annotated[int, typer.Option(help="Training steps.")] = 20_000,
    batch_size: Annotated[int, typer.Option(help="Patches (pieces of images) in a step.")] = 16,
    patch_size: Annotated[int, typer.Option(help="Side of a patch in LR pixels.")] = 48,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Learning rate after the warm-up; with --start take a lower one.", show_default="by the network's size"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the weights and the patches.")] = 0,
    quiet: Quiet = False,
    **code_options: Any,
) -> None:
    """Train a network, to shrink it later: from random weights, or on from those of a file (--start).

    The same command again goes on where it stopped.

    Example: autocompress teacher train swinir --train DIV2K_train_HR --target edsr-baseline-x2 --out swinir.safetensors

    Of your own code: autocompress teacher train --code net.py:Net --set scale=2 --out net.safetensors
    """
    from autocompress import api
    from autocompress.io.inputs import parse_fields

    result = api.train_teacher(
        family,
        out,
        config=parse_fields(config or []),
        scale=scale,
        train=train,
        train_pixels=train_pixels,
        val=val,
        lr=lr or (),
        start=start,
        target=target,
        allow_weak_teacher=allow_weak_teacher,
        teacher_share=teacher_share,
        steps=steps,
        batch_size=batch_size,
        patch_size=patch_size,
        learning_rate=learning_rate,
        seed=seed,
        progress=not quiet,
        **code_options,
    )
    echo(result.file)
