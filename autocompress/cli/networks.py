"""Commands on one network: `evaluate` and `export`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autocompress.cli.options import Quiet, complete_format, complete_teacher
from autocompress.cli.timing import measure_network, measure_run
from autocompress.errors import InvalidInput

if TYPE_CHECKING:
    from autocompress.evaluation.scores import Upscaler


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(evaluate)
    app.command()(export)


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="A student or foreign file, a shipped teacher's name, or `bicubic`; with --latency also a run folder.",
            autocompletion=complete_teacher,
        ),
    ],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of HR images, with LR beside them or made here; can be given several times.",
            show_default="scikit-image's photographs",
        ),
    ] = None,
    scale: Annotated[
        int | None, typer.Option(help="Upscaling factor; needed for bicubic.", show_default="the model's")
    ] = None,
    res_scale: Annotated[float | None, typer.Option(help="Residual scaling of an EDSR from elsewhere.")] = None,
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
    as_json: Annotated[bool, typer.Option("--json", help="JSON alone on stdout.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score a model: PSNR and SSIM on luma and RGB, of each image and their mean.

    Example: autocompress evaluate edsr-baseline-x2 --data Set5 --data Set14

    Of a run: autocompress evaluate runs/edsr-20G-seed0 --latency
    """
    if not latency and (threads, device) != (None, None):
        raise InvalidInput("--threads and --device are for measuring; add --latency")
    if Path(model).is_dir():
        if not latency:
            raise InvalidInput(f"{model}: a folder; add --latency to measure a run's students, or give one network")
        if data or (scale, res_scale, tile) != (None, None, None) or skip_bad_images:
            raise InvalidInput(f"{model}: its students are scored; with --latency just --threads, --device and --json")
        measure_run(Path(model), threads, device, as_json, quiet)
        return

    from autocompress.cli.tables import SPARE_OF_SCORES, scores_table, show
    from autocompress.data.embedded import embedded
    from autocompress.data.sources import open_folder
    from autocompress.evaluation.scores import MIN_SIDE, network_upscaler, pairs
    from autocompress.evaluation.scores import evaluate as score
    from autocompress.networks.teachers import load_teacher
    from autocompress.terminal import counted

    network = None
    if model == "bicubic":
        if latency:
            raise InvalidInput("--latency is for networks, and bicubic is none; leave --latency out")
        scale, upscale = _bicubic(scale, tile)
    else:
        network = load_teacher(model, res_scale=res_scale)
        if scale not in (None, network.scale):
            raise InvalidInput(f"--scale is {scale}, but {model} upscales by {network.scale}; leave --scale out")
        scale, upscale = network.scale, network_upscaler(network, tile)
    sources = [open_folder(folder, scale, min_size=MIN_SIDE, skip_bad_images=skip_bad_images) for folder in data or []]
    results: dict[str, object] = {}
    for source in sources or [embedded("valid", scale)]:
        images = counted(pairs(source, skip_bad_images), len(source), f"scoring {source.name}", quiet)
        scores = score(upscale, images, scale)
        name = source.name if source.name not in results else str(source.files[0].hr.parent)
        each = {image: _finite(row) for image, row in scores.images.items()}
        results[name] = {"images": each, "mean": _finite(scores.mean)}
        if not as_json:
            show(scores_table(f"{model} on {name}, x{scale}", scores), SPARE_OF_SCORES)
    measured = {} if network is None or not latency else measure_network(network, threads, device, as_json, quiet)
    if as_json:
        typer.echo(json.dumps({"model": model, "scale": scale, "data": results} | measured, indent=2))


def _bicubic(scale: int | None, tile: int | None) -> tuple[int, Upscaler]:
    from autocompress.evaluation.scores import bicubic_upscaler

    scale = 2 if scale is None else scale
    if scale not in (2, 3, 4):
        raise InvalidInput(f"--scale is {scale}, but must be 2, 3 or 4")
    if tile is not None:
        raise InvalidInput("--tile is for networks, and bicubic is none; leave --tile out")
    return scale, bicubic_upscaler(scale)


def _finite(row: dict[str, float]) -> dict[str, float | None]:
    """Scores as JSON can hold them: the infinite PSNR of equal images is null."""
    return {metric: score if math.isfinite(score) else None for metric, score in row.items()}


def export(
    source: Annotated[Path, typer.Argument(help="A run folder (its whole front), or one student's file.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    format: Annotated[
        list[str] | None,
        typer.Option(
            help="safetensors, pth as BasicSR loads it, or onnx; can be given several times.",
            show_default="safetensors",
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
    res_scale: Annotated[float | None, typer.Option(help="Residual scaling of an EDSR from elsewhere.")] = None,
) -> None:
    """Write students as files that other code loads, each with a JSON side file and a model card.

    A whole front has an index beside it: index.json, and README.md for people.

    Example: autocompress export runs/edsr-20G-seed0 --out models --format onnx --format pth
    """
    from autocompress.export.files import export_file
    from autocompress.export.formats import check_formats
    from autocompress.search.results.export import export_front, export_trial
    from autocompress.search.run.folder import RunFolder

    formats = format or ["safetensors"]
    check_formats(formats, fp16)
    if source.is_file():
        if trial is not None:
            raise InvalidInput(f"--trial is for a run folder, and {source} is a file; leave --trial out")
        files = export_file(source, source.stem, out, formats, {"res_scale": res_scale}, fp16)
    else:
        run = RunFolder.existing(source)
        if res_scale is not None:
            raise InvalidInput("--res-scale is for a file from elsewhere, and students have none; leave it out")
        files = export_front(run, out, formats, fp16) if trial is None else export_trial(run, trial, out, formats, fp16)
    for file in files:
        typer.echo(file)
