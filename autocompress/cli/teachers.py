"""`autocompress teacher`: the trained networks that ship with the package, and training others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autocompress.cli.options import Quiet, complete_teacher
from autocompress.errors import InvalidInput

if TYPE_CHECKING:
    from autocompress.networks.base import SRNetwork

commands = typer.Typer(help="Teachers: those that ship with the package, and training others.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(commands, name="teacher")


@commands.command("list")
def list_teachers() -> None:
    """Name every shipped teacher.

    Example: autocompress teacher list
    """
    from rich.table import Table

    from autocompress.cli.tables import show
    from autocompress.networks.teachers import shipped
    from autocompress.units import format_count

    table = Table()
    for heading in ("name", "family", "scale", "FLOPs", "params", "PSNR-Y dB"):
        table.add_column(heading)
    for teacher in shipped().values():
        about = teacher.about
        scores = ", ".join(f"{data} {scores['psnr_y']:.2f}" for data, scores in about["metrics"].items())
        costs = (format_count(about["flops"]), format_count(about["params"]))
        table.add_row(teacher.name, about["family"], f"x{about['scale']}", *costs, scores)
    show(table)


@commands.command("show")
def show_teacher(
    name: Annotated[
        str, typer.Argument(help="A shipped teacher's name, or a file of weights.", autocompletion=complete_teacher)
    ],
    res_scale: Annotated[float | None, typer.Option(help="Residual scaling of an EDSR from elsewhere.")] = None,
) -> None:
    """Print what is known of a teacher as JSON: config, cost and, where it ships with the package, provenance.

    Example: autocompress teacher show swinir-s-x2
    """
    from autocompress.networks import describe
    from autocompress.networks.teachers import load_teacher, shipped

    network = load_teacher(name, res_scale=res_scale)
    about = shipped()[name].about if name in shipped() else {}
    typer.echo(json.dumps(about | describe(network), indent=2))


@commands.command("train")
def train_teacher(
    family: Annotated[str, typer.Argument(help="Family of the network: edsr or swinir.")],
    out: Annotated[Path, typer.Option(help="File to write, such as teachers/swinir.safetensors.")],
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A field of the config, such as embed_dim=48.", show_default="EDSR-baseline, SwinIR-S"
        ),
    ] = None,
    scale: Annotated[int | None, typer.Option(help="Upscaling factor.", show_default="2, or that of --start")] = None,
    train: Annotated[
        Path | None, typer.Option(help="Folder of HR images.", show_default="scikit-image's photographs")
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(help="Folder of HR images to score on, on the way.", show_default="scikit-image's photographs"),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="Weights to go on from: a name or a file.", show_default="random ones", autocompletion=complete_teacher
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="A teacher to learn from as well: a name or a file.",
            show_default="none",
            autocompletion=complete_teacher,
        ),
    ] = None,
    teacher_share: Annotated[float, typer.Option(help="Share of --target in the loss.")] = 0.5,
    steps: Annotated[int, typer.Option(help="Training steps.")] = 20_000,
    batch_size: Annotated[int, typer.Option(help="Patches a step.")] = 16,
    patch_size: Annotated[int, typer.Option(help="Side of a patch in LR pixels.")] = 48,
    learning_rate: Annotated[float, typer.Option(help="Adam's, after the warm-up.")] = 4e-4,
    seed: Annotated[int, typer.Option(help="Seed of the weights and the patches.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Train a network, to shrink it later: from scratch, or on from a file. The same command again goes on.

    Example: autocompress teacher train swinir --train DIV2K_train_HR --target edsr-baseline-x2 --out swinir.safetensors
    """
    from autocompress import prune
    from autocompress.compute import precision
    from autocompress.data.embedded import embedded
    from autocompress.data.sources import open_folder
    from autocompress.distill.distillation import TrainingTask, check_out_file, open_training_images, train_to_file
    from autocompress.distill.recipe import Recipe
    from autocompress.evaluation.scores import MIN_SIDE
    from autocompress.networks import find_family, parse_config
    from autocompress.networks.teachers import load_teacher
    from autocompress.networks.weights import digest
    from autocompress.terminal import step_display

    check_out_file(out)
    recipe = Recipe(
        steps=steps,
        batch_size=batch_size,
        patch_size=patch_size,
        learning_rate=learning_rate,
        warmup=0.01,
        clip=0.4,
        teacher_share=0.0 if target is None else teacher_share,
        seed=seed,
    )
    if start is None:
        made = parse_config(family, 2 if scale is None else scale, config or [])
        network = prune.from_scratch(find_family(family), made, seed)
    else:
        network = _start(start, family, config)
        if scale not in (None, network.scale):
            raise InvalidInput(f"--scale is {scale}, but {start} upscales by {network.scale}; leave --scale out")
    source = open_training_images(train, network.scale, recipe)
    valid = embedded("valid", network.scale) if val is None else open_folder(val, network.scale, min_size=MIN_SIDE)
    described = {"target": target} | ({} if start is None else {"start": start, "start_digest": digest(network)})
    task = TrainingTask(network, source, None if target is None else load_teacher(target), recipe, described, valid)
    with step_display(steps, quiet=quiet) as display:
        train_to_file(task, out, precision.choose(), display.log, display.step)
    typer.echo(out)


def _start(name_or_file: str, family: str, config: list[str] | None) -> SRNetwork:
    """The network to go on from, which has a config of its own."""
    from autocompress.networks.teachers import load_teacher

    network = load_teacher(name_or_file)
    if network.family != family:
        raise InvalidInput(f"{name_or_file} is {network.family}, but {family} was asked for")
    if config:
        raise InvalidInput(f"--set {config[0]} was given, but {name_or_file} has a config; leave one of them out")
    return network
