"""`autocompress distill`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autocompress.errors import InvalidInput


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
        str | None, typer.Option(help="Teacher to shrink: a name or a file.", show_default="the shipped one")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Network to learn from: any of the same scale.", show_default="the teacher"),
    ] = None,
    init: Annotated[
        str, typer.Option(help="How the student starts: projection, density, copy, taylor or scratch.")
    ] = "projection",
    recipe: Annotated[str, typer.Option(help="ours, or paper: 800,000 steps of MultiLap.")] = "ours",
    steps: Annotated[int | None, typer.Option(help="Training steps.", show_default="the recipe's; ours 3000")] = None,
    train: Annotated[
        Path | None, typer.Option(help="Folder of HR images to train on.", show_default="scikit-image's photographs")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of HR images to score on.", show_default="scikit-image's photographs"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the start and the patches.")] = 0,
) -> None:
    """Shrink and distill one given student. The same command again goes on where it stopped.

    Example: autocompress distill edsrmini --train DIV2K_train_HR --data Set5 --out edsrmini.safetensors
    """
    import dataclasses

    from autocompress import arithmetic, prune
    from autocompress.cli.display import step_display
    from autocompress.cli.networks import evaluate
    from autocompress.data.bank import PixelBank
    from autocompress.data.embedded import embedded
    from autocompress.distill.recipe import OUR_STEPS, PAPER_STEPS, VARIABLE, our_recipe, paper_recipe
    from autocompress.distill.teaching import Lesson, check_name, open_training_images, teach
    from autocompress.families import family_of, find_family, parse_fields
    from autocompress.families.presets import PRESETS
    from autocompress.teachers import default_teacher, load_teacher

    check_name(out)
    if recipe not in ("ours", "paper"):
        raise InvalidInput(f"--recipe is {recipe!r}, but must be ours or paper")
    name, preset = PRESETS.get(network, (network, None))
    shrunk = load_teacher(teacher or default_teacher(find_family(name).name))
    family = family_of(shrunk)
    if family.name != name:
        raise InvalidInput(f"the teacher is {family.name}, but the student {network} is {name}; give one of its family")
    counts = {} if preset is None else family.counts_of(preset)
    given = parse_fields(config or [])
    trained = {field: given.pop(field) for field in VARIABLE if field in given}
    student = family.student_config(shrunk.config, {**counts, **given})
    if preset is not None and init == "scratch" and not given:
        student = dataclasses.replace(preset, scale=shrunk.scale)
    if recipe == "paper":
        plan = paper_recipe(name, PAPER_STEPS if steps is None else steps, seed)
    else:
        plan = our_recipe(name, OUR_STEPS if steps is None else steps, seed)
    plan = dataclasses.replace(plan, **trained)
    source, used = open_training_images(train, shrunk.scale, plan), arithmetic.choose()
    described = {"teacher": teacher or default_teacher(name), "target": target, "init": init}
    with step_display(plan.steps) as display:
        display.log(f"shrinking {described['teacher']} to {network}: {student}")
        bank = PixelBank.open(source)
        patches = prune.sample_patches(bank, seed, used).to(used.device)
        importance = None
        if init == "density":
            display.log("pruning the teacher, for the densities")
            valid, settings = embedded("valid", shrunk.scale), prune.default_settings(name, seed)
            importance = prune.densities_of(shrunk, bank, valid, settings, used).importance
        make = prune.shrinker(shrunk.to(used.device), patches, init, seed, cached=True, importance=importance)
        start = make(student)
        learnt_from = shrunk if target is None else load_teacher(target)
        teach(Lesson(start, source, learnt_from, plan, described), out, used, display.log, display.step)
    typer.echo(out)
    evaluate(str(out), data)
