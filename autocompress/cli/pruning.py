"""`autocompress prune`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autocompress.cli.options import Quiet, complete_recipe, complete_teacher
from autocompress.errors import InvalidInput

if TYPE_CHECKING:
    from autocompress.data.sources import ImageSource
    from autocompress.prune import Pruned, SparsifySettings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(prune)


def prune(
    teacher: Annotated[
        str, typer.Argument(help="Teacher: a shipped one's name, or a file.", autocompletion=complete_teacher)
    ],
    train: Annotated[
        Path | None, typer.Option(help="Folder of HR images to train on.", show_default="scikit-image's photographs")
    ] = None,
    val: Annotated[
        Path | None, typer.Option(help="Folder of HR images to score on.", show_default="scikit-image's photographs")
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(help="ours, or paper: 100,000 steps (EDSR) or 500,000 (SwinIR).", autocompletion=complete_recipe),
    ] = "ours",
    steps: Annotated[
        int | None,
        typer.Option(help="Steps; lambda is scaled so that the whole pull stays.", show_default="the recipe's"),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Of the first steps; lambda is scaled as for --steps.", show_default="the recipe's"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the patches.")] = 0,
    res_scale: Annotated[float | None, typer.Option(help="Residual scaling of an EDSR from elsewhere.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for densities.json, .csv, .html and pruned.safetensors.", show_default="none"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON alone on stdout.")] = False,
    quiet: Quiet = False,
) -> None:
    """Retrain a teacher so that weights become zero, and read a student's counts off the densities that are left.

    Example: autocompress prune edsr-baseline-x2 --out densities
    """
    from dataclasses import replace

    from autocompress.cli.tables import densities_table, show, suggestion_table
    from autocompress.compute import precision
    from autocompress.data.bank import PixelBank
    from autocompress.networks.teachers import load_teacher
    from autocompress.prune import densities_of
    from autocompress.terminal import step_display

    if out is not None and out.exists() and not out.is_dir():
        raise InvalidInput(f"--out {out} is a file, but must be a folder")
    network = load_teacher(teacher, res_scale=res_scale)
    settings = _settings(recipe, network.family, steps, seed)
    settings = settings if learning_rate is None else settings.at_rate(learning_rate)
    source, valid = _images(train, val, network.scale, settings)
    bank, used = PixelBank.open(source), replace(precision.choose(), dtype="float32", graphs=False)
    with step_display(settings.steps, quiet=quiet) as display:
        display.log(f"pruning {teacher} on {len(bank)} images of {source.name}; {used}")
        pruned = densities_of(network, bank, valid, settings, used, display.step)
    images = {"train": f"{len(bank)} images of {source.name}", "valid": f"{len(valid)} images of {valid.name}"}
    about = {"name": teacher, "images": images, **pruned.to_dict()}
    if out is not None:
        _write(out, pruned, about)
    if as_json:
        typer.echo(json.dumps(about, indent=2))
        return
    show(densities_table(about))
    show(suggestion_table(about))


def _settings(recipe: str, family: str, steps: int | None, seed: int) -> SparsifySettings:
    from autocompress.prune import default_settings, paper_settings

    if recipe not in ("ours", "paper"):
        raise InvalidInput(f"--recipe is {recipe!r}, but must be ours or paper")
    settings = paper_settings(family, seed) if recipe == "paper" else default_settings(family, seed)
    return settings if steps is None else settings.in_steps(steps)


def _images(
    train: Path | None, val: Path | None, scale: int, settings: SparsifySettings
) -> tuple[ImageSource, ImageSource]:
    from autocompress.data.embedded import embedded
    from autocompress.data.sources import open_folder
    from autocompress.evaluation.scores import MIN_SIDE

    size = settings.patch_size * scale
    source = embedded("train", scale) if train is None else open_folder(train, scale, min_size=size)
    return source, embedded("valid", scale) if val is None else open_folder(val, scale, min_size=MIN_SIDE)


def _write(out: Path, pruned: Pruned, about: dict[str, Any]) -> None:
    import pandas as pd

    from autocompress.io import checkpoints
    from autocompress.report import write_densities

    layers = [{**layer, "groups": " ".join(layer["groups"])} for layer in about["layers"]]
    side = {
        **about["teacher"],
        "metrics": {about["images"]["valid"].partition(" images of ")[2]: {"psnr_y": pruned.psnr_after}},
        "provenance": {"pruned": about["name"], "trained_on": about["images"]["train"], "settings": about["settings"]},
    }
    try:
        checkpoints.write_json(out / "densities.json", about)
        checkpoints.write_text(out / "densities.csv", pd.DataFrame(layers).to_csv(index=False))
        write_densities(pruned, about["name"], out / "densities.html")
        checkpoints.save_tensors(out / "pruned.safetensors", pruned.weights)
        checkpoints.write_json(out / "pruned.json", side)
    except OSError as error:
        raise InvalidInput(f"{out}: cannot be written to ({error.strerror}); give another folder") from error
