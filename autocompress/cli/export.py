"""`autocompress export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from autocompress.cli.options import complete_format, complete_network, with_network_options
from autocompress.cli.printing import echo
from autocompress.export.formats import Format


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


@with_network_options
def export(
    source: Annotated[
        str,
        typer.Argument(
            help="A run folder (its whole front), one student's file, or a shipped network's name.",
            autocompletion=complete_network,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    format: Annotated[
        list[str] | None,
        typer.Option(
            help="safetensors, pth as BasicSR loads it (where it has such a network: the card says so), onnx, or pt2 "
            "(a program of torch.export); several times.",
            show_default=Format.SAFETENSORS.value,
            autocompletion=complete_format,
        ),
    ] = None,
    trial: Annotated[
        str | None,
        typer.Option(
            help="Of a run, this trial's student alone; or `pick`, the best.", metavar="N", show_default=False
        ),
    ] = None,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="safetensors of half the size, which are computed in float32 all the same.")
    ] = False,
    **overrides: Any,
) -> None:
    """Write students as files that other code loads, each with a JSON side file and a model card.

    A whole front has an index beside it: index.json, and README.md for people.

    Example: autocompress export runs/edsr-20G-seed0 --out models --format onnx --format pth
    """
    from autocompress import api
    from autocompress.networks import in_official_code

    for file in api.export(source, out, format=format or Format.SAFETENSORS, trial=trial, fp16=fp16, **overrides):
        echo(file)
        about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        if file.suffix == ".pth" and not in_official_code(about["family"], about["config"]):
            echo(f"{file.name}: the architecture's official code has no such network; autocompress loads it", err=True)
