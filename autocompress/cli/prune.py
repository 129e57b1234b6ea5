"""`autocompress prune`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from autocompress.api.choices import RecipeName
from autocompress.cli.options import (
    AllowWeakTeacher,
    LRFolders,
    Quiet,
    complete_network,
    complete_recipe,
    with_network_options,
)
from autocompress.cli.printing import echo, show


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(prune)


@with_network_options
def prune(
    teacher: Annotated[
        str,
        typer.Argument(
            help="The network to prune: a shipped teacher's name, or a file.", autocompletion=complete_network
        ),
    ],
    train: Annotated[
        Path | None, typer.Option(help="Folder of HR images to train on.", show_default="scikit-image's photographs")
    ] = None,
    lr: LRFolders = None,
    val: Annotated[
        Path | None, typer.Option(help="Folder of HR images to score on.", show_default="scikit-image's photographs")
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(help="How it is trained: ours, or paper (100,000 steps or more).", autocompletion=complete_recipe),
    ] = RecipeName.OURS.value,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Training steps; the pull to zero (lambda) is scaled so that its sum over all steps stays.",
            show_default="the recipe's",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Learning rate of the first steps; the pull to zero is scaled as for --steps.",
            show_default="the recipe's",
        ),
    ] = None,
    allow_weak_teacher: AllowWeakTeacher = False,
    seed: Annotated[int, typer.Option(help="Seed of the patches.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write densities.json, .csv and .html, and pruned.safetensors into.",
            show_default="none is written",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone, on stdout.")] = False,
    quiet: Quiet = False,
    **overrides: Any,
) -> None:
    """Retrain a teacher so that many of its weights become zero, and suggest from that how large a student should be.

    A layer's density is the share of its weights that are not zero at the end; from these follow a student's counts.

    Example: autocompress prune edsr-baseline-x2 --out densities

    Of your own code: autocompress prune net.pth --code net.py:Net --set scale=2
    """
    from autocompress import api
    from autocompress.cli.tables import densities_table, suggestion_table

    about = api.prune(
        teacher,
        train=train,
        val=val,
        lr=lr or (),
        recipe=recipe,
        steps=steps,
        learning_rate=learning_rate,
        seed=seed,
        allow_weak_teacher=allow_weak_teacher,
        **overrides,
        out=out,
        progress=not quiet,
    ).to_dict()
    if as_json:
        echo(json.dumps(about, indent=2))
        return
    show(densities_table(about))
    show(suggestion_table(about))
    if out is not None:
        echo(out / "densities.html")
