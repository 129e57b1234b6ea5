"""`autocompress distill`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from autocompress.api.choices import RecipeName
from autocompress.cli.options import (
    AllowWeakTeacher,
    LRFolders,
    Quiet,
    TrainPixelsByRecipe,
    complete_init,
    complete_network,
    complete_recipe,
    with_student_options,
)
from autocompress.cli.printing import echo
from autocompress.search.options import either
from autocompress.shrink.init import Init


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(distill)


@with_student_options
def distill(
    network: Annotated[
        str,
        typer.Argument(
            help="The student: a preset (edsrmini, swinirmini), a family, as in `spaces list`, or the teacher's file."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write, such as student.safetensors.")],
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A count of the student (num_feat=16) or a number of its training (learning_rate=1e-3).",
            show_default="the preset's or the teacher's; the recipe's",
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Teacher (a large trained network) to shrink: a name or a file.",
            show_default="the shipped one",
            autocompletion=complete_network,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="Network whose outputs the student learns: a name or a file, of the same scale.",
            show_default="the teacher",
            autocompletion=complete_network,
        ),
    ] = None,
    init: Annotated[
        str,
        typer.Option(
            help=f"How the student starts: {either(Init)}; docs/faq.md tells which is what.",
            autocompletion=complete_init,
        ),
    ] = Init.PROJECTION.value,
    recipe: Annotated[
        str,
        typer.Option(
            help="How it is trained: ours, or paper (800,000 steps with the paper's loss).",
            autocompletion=complete_recipe,
        ),
    ] = RecipeName.OURS.value,
    steps: Annotated[
        int | None, typer.Option(help="Training steps.", show_default="3000; by the recipe paper 800,000")
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(help="Folder of HR (full-size) images to train on.", show_default="scikit-image's photographs"),
    ] = None,
    train_pixels: TrainPixelsByRecipe = None,
    lr: LRFolders = None,
    val: Annotated[
        Path | None,
        typer.Option(help="Folder of HR images for the learning curve.", show_default="scikit-image's photographs"),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of HR images to score the student on.", show_default="scikit-image's photographs"),
    ] = None,
    allow_weak_teacher: AllowWeakTeacher = False,
    seed: Annotated[int, typer.Option(help="Seed of the start and the patches.")] = 0,
    quiet: Quiet = False,
    **overrides: Any,
) -> None:
    """Make one student: shrink a teacher to it, then train it to compute what the teacher does (distillation).

    The same command again goes on where it stopped.

    Example: autocompress distill edsrmini --train DIV2K_train_HR --data Set5 --out edsrmini.safetensors

    Of your own network: autocompress distill net.pth --code net.py:Net --set width=24 --out student.safetensors
    """
    from autocompress import api
    from autocompress.cli.tables import show_scores
    from autocompress.io.inputs import parse_fields

    result = api.distill(
        network,
        out,
        config=parse_fields(config or []),
        teacher=teacher,
        target=target,
        init=init,
        recipe=recipe,
        steps=steps,
        train=train,
        train_pixels=train_pixels,
        val=val,
        lr=lr or (),
        data=data or [],
        allow_weak_teacher=allow_weak_teacher,
        **overrides,
        seed=seed,
        progress=not quiet,
    )
    echo(result.file)
    show_scores(result.evaluation)
