"""`autocompress evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from autocompress.cli.options import LRFolders, Quiet, complete_network, with_network_options
from autocompress.cli.printing import echo, show
from autocompress.errors import InvalidInput
from autocompress.io import package_files


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evaluate)


@with_network_options
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="A student or foreign file, a shipped network's name, or `bicubic`; with --latency also a run folder.",
            autocompletion=complete_network,
        ),
    ],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of HR images, with LR beside them or made here; can be given several times.",
            show_default="scikit-image's photographs",
        ),
    ] = None,
    lr: LRFolders = None,
    scale: Annotated[
        int | None, typer.Option(help="Upscaling factor; needed for bicubic.", show_default="the model's")
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            help="Run the network on tiles of N LR pixels a side, which bounds memory.",
            metavar="N",
            show_default="chosen for large images",
        ),
    ] = None,
    skip_bad_images: Annotated[
        bool, typer.Option("--skip-bad-images", help="Go on without images that cannot be used.")
    ] = False,
    latency: Annotated[
        bool,
        typer.Option(
            "--latency", help="Measure too how long a 1280x720 output takes here; of a run, each student of its front."
        ),
    ] = False,
    threads: Annotated[int | None, typer.Option(help="Threads to measure with.", show_default="PyTorch's")] = None,
    device: Annotated[
        str | None, typer.Option(help="Where to measure: cpu or cuda.", show_default="cuda, where there is a GPU")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone, on stdout.")] = False,
    quiet: Quiet = False,
    **overrides: Any,
) -> None:
    """Score a model: PSNR and SSIM on luma and RGB, of each image and their mean.

    Example: autocompress evaluate edsr-baseline-x2 --data Set5 --data Set14

    Of a run: autocompress evaluate runs/edsr-20G-seed0 --latency
    """
    if package_files.network_file(model) is None and Path(model).is_dir():
        if not latency:
            raise InvalidInput(f"{model}: a folder; add --latency to measure a run's students, or give one network")
        if data or lr or {scale, tile, *overrides.values()} != {None} or skip_bad_images:
            raise InvalidInput(f"{model}: its students are scored; with --latency just --threads, --device and --json")
        _measure_run(Path(model), threads, device, as_json, quiet)
        return

    from autocompress import api
    from autocompress.cli.tables import show_scores

    evaluation = api.evaluate(
        model,
        data or [],
        lr=lr or (),
        scale=scale,
        **overrides,
        tile=tile,
        skip_bad_images=skip_bad_images,
        latency=latency,
        threads=threads,
        device=device,
        progress=not quiet,
    )
    if as_json:
        echo(json.dumps(evaluation.to_dict(), indent=2))
    else:
        show_scores(evaluation)


def _measure_run(run: Path, threads: int | None, device: str | None, as_json: bool, quiet: bool) -> None:
    """Measure the students of a run's front, and show it."""
    from autocompress import api
    from autocompress.cli.tables import front_table, spare_of_front
    from autocompress.search.results.rows import as_json as to_json
    from autocompress.search.results.rows import front_rows

    result = api.measure_latency(run, threads=threads, device=device, progress=not quiet)
    if as_json:
        echo(json.dumps(to_json(result.run, front_rows(result.run)), indent=2))
    else:
        show(front_table(result.run, front_rows(result.run)), spare_of_front(result.run))
