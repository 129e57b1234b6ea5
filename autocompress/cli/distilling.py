"""`autocompress distill`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autocompress.cli.options import Quiet, complete_init, complete_recipe, complete_teacher
from autocompress.errors import ConfigError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autocompress.compute.precision import Precision
    from autocompress.data.sources import ImageSource
    from autocompress.distill.recipe import Recipe
    from autocompress.networks.base import Family, Shrinker, SRNetwork


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(distill)


def distill(
    network: Annotated[str, typer.Argument(help="A preset (edsrmini, swinirmini), or a family: edsr, swinir.")],
    out: Annotated[Path, typer.Option(help="File to write, such as student.safetensors.")],
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A count of the student or a number of its training: num_feat=16.", show_default="none"
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Teacher to shrink: a name or a file.", show_default="the shipped one", autocompletion=complete_teacher
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="Network to learn from: any of the same scale.",
            show_default="the teacher",
            autocompletion=complete_teacher,
        ),
    ] = None,
    init: Annotated[
        str,
        typer.Option(
            help="How the student starts: projection, density, copy, taylor or scratch.", autocompletion=complete_init
        ),
    ] = "projection",
    recipe: Annotated[
        str, typer.Option(help="ours, or paper: 800,000 steps of MultiLap.", autocompletion=complete_recipe)
    ] = "ours",
    steps: Annotated[int | None, typer.Option(help="Training steps.", show_default="the recipe's; ours 3000")] = None,
    train: Annotated[
        Path | None, typer.Option(help="Folder of HR images to train on.", show_default="scikit-image's photographs")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of HR images to score on.", show_default="scikit-image's photographs"),
    ] = None,
    res_scale: Annotated[float | None, typer.Option(help="Residual scaling of an EDSR teacher from elsewhere.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the start and the patches.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Shrink and distill one given student. The same command again goes on where it stopped.

    Example: autocompress distill edsrmini --train DIV2K_train_HR --data Set5 --out edsrmini.safetensors
    """
    import dataclasses

    from autocompress.cli.networks import evaluate
    from autocompress.compute import precision
    from autocompress.data.sources import open_folder
    from autocompress.distill.distillation import (
        TrainingTask,
        check_out_file,
        check_scales,
        open_training_images,
        train_to_file,
    )
    from autocompress.distill.recipe import OUR_STEPS, PAPER_STEPS, VARIABLE, our_recipe, paper_recipe
    from autocompress.evaluation.scores import MIN_SIDE
    from autocompress.networks import FAMILIES, PRESETS, family_of, parse_fields
    from autocompress.networks.teachers import default_teacher, load_teacher
    from autocompress.terminal import step_display

    check_out_file(out)
    if recipe not in ("ours", "paper"):
        raise InvalidInput(f"--recipe is {recipe!r}, but must be ours or paper")
    name, preset = PRESETS.get(network, (network, None))
    if name not in FAMILIES:
        raise InvalidInput(f"{network} is no preset and no family; known: {', '.join([*PRESETS, *FAMILIES])}")
    shrunk = load_teacher(teacher or default_teacher(name), res_scale=res_scale)
    family = family_of(shrunk)
    if family.name != name:
        raise InvalidInput(f"the teacher is {family.name}, but the student {network} is {name}; give one of its family")
    counts = {} if preset is None else family.counts_of(preset)
    given = parse_fields(config or [])
    trained = {field: given.pop(field) for field in VARIABLE if field in given}
    _check_counts(family, given)
    student = family.student_config(shrunk.config, {**counts, **given})
    if preset is not None and init == "scratch" and not given:
        student = dataclasses.replace(preset, scale=shrunk.scale)
    make_plan, usual = (paper_recipe, PAPER_STEPS) if recipe == "paper" else (our_recipe, OUR_STEPS)
    plan = _changed(make_plan(name, usual if steps is None else steps, seed), trained)
    learnt_from = shrunk if target is None else load_teacher(target)
    check_scales(learnt_from.scale, shrunk.scale)
    for folder in data or []:
        open_folder(folder, shrunk.scale, min_size=MIN_SIDE)
    source, used = open_training_images(train, shrunk.scale, plan), precision.choose()
    described = {"teacher": teacher or default_teacher(name), "target": target, "init": init}
    with step_display(plan.steps, quiet=quiet) as display:
        display.log(f"shrinking {described['teacher']} to {network}: {student}")
        if init == "density":
            display.log("pruning the teacher, for the densities; that takes minutes")
        start = _shrinker(shrunk, source, init, seed, used)(student)
        train_to_file(TrainingTask(start, source, learnt_from, plan, described), out, used, display.log, display.step)
    typer.echo(out)
    evaluate(str(out), data, quiet=quiet)


def _shrinker(teacher: SRNetwork, source: ImageSource, init: str, seed: int, used: Precision) -> Shrinker:
    """What makes the student's start; pruning is scored on the embedded photographs."""
    from autocompress import prune
    from autocompress.data.bank import PixelBank
    from autocompress.data.embedded import embedded

    bank, importance = PixelBank.open(source), None
    if init == "density":
        settings = prune.default_settings(teacher.family, seed)
        valid = embedded("valid", teacher.scale)
        importance = prune.densities_of(teacher, bank, valid, settings, used).importance
    patches = prune.sample_patches(bank, seed, used).to(used.device)
    return prune.shrinker(teacher.to(used.device), patches, init, seed, cached=True, importance=importance)


def _changed(recipe: Recipe, numbers: Mapping[str, Any]) -> Recipe:
    from dataclasses import replace

    try:
        return replace(recipe, **numbers)
    except TypeError:
        texts = ", ".join(f"{name}={value}" for name, value in numbers.items())
        raise ConfigError(f"--set {texts}: not all of these are numbers where there must be one") from None


def _check_counts(family: Family, fields: Mapping[str, Any]) -> None:
    """Raises ConfigError unless these are counts of the family's, with numbers that they can have."""
    from autocompress.distill.recipe import VARIABLE

    counts = {count.field: count for count in family.counts}
    for field, value in fields.items():
        if field not in counts:
            raise ConfigError(f"{field} is nothing that can be set here; these can: {', '.join([*counts, *VARIABLE])}")
        whole = counts[field].whole
        if not isinstance(value, int if whole else int | float) or isinstance(value, bool):
            raise ConfigError(f"{field} is {value!r}, but must be a {'whole ' if whole else ''}number")
