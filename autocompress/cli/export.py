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
            help="safetensors, safetensors-fp16 (half the size; computed in float32), pth as BasicSR loads it (where "
            "it has such a network: the card says so), onnx, onnx-fp16 (computed in float16), onnx-int8, ncnn, or pt2 "
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
    opset: Annotated[
        int | None,
        typer.Option(
            help="Version of ONNX's operators, for runtimes that lack newer ones.", metavar="13-18", show_default="18"
        ),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            help="The only size of LR images that ONNX and pt2 files take, as 360x640, for devices that need one.",
            metavar="HEIGHTxWIDTH",
            show_default="any",
        ),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            help="For int8: folder of HR images to calibrate it on.", show_default="the run's, or scikit-image's"
        ),
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(help="For int8: folder of HR images to score it on.", show_default="the run's, or scikit-image's"),
    ] = None,
    qat: Annotated[
        bool,
        typer.Option("--qat", help="Train a network for int8 where its file loses more than 0.1 dB; minutes each."),
    ] = False,
    hub: Annotated[
        str | None,
        typer.Option(
            help="Push what is written to this repository on the Hugging Face Hub; it is made, private, if need be.",
            metavar="USER/REPO",
            show_default=False,
        ),
    ] = None,
    **overrides: Any,
) -> None:
    """Write students as files that other code loads, each with a JSON side file and a model card.

    A whole front has an index beside it: index.json, and README.md for people.

    Example: autocompress export runs/edsr-20G-seed0 --out models --format onnx --format pth
    """
    from autocompress import api

    wanted: dict[str, Any] = {"format": format or Format.SAFETENSORS, "opset": opset, "shape": shape, "trial": trial}
    for file in api.export(source, out, **wanted, train=train, val=val, qat=qat, hub=hub, **overrides):
        from autocompress.networks import in_official_code

        echo(file)
        about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        if file.suffix == ".pth" and not in_official_code(about["family"], about["config"]):
            echo(f"{file.name}: the architecture's official code has no such network; autocompress loads it", err=True)
