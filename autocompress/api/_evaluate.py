"""`evaluate`: scores of one model, and `measure_latency`: how long the students of a run's front take."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress.api._modules import as_files
from autocompress.api._named import check_named
from autocompress.api._result import Result, open_run
from autocompress.api.choices import check_scale
from autocompress.data.layouts import refuse_alone
from autocompress.errors import InvalidInput
from autocompress.io.arguments import typed_arguments
from autocompress.progress import OnDone, one_by_one
from autocompress.units import format_milliseconds

if TYPE_CHECKING:
    from torch import nn

    from autocompress.evaluation.records import Latency, Scores
    from autocompress.evaluation.scores import Image, Upscaler
    from autocompress.networks.base import SRNetwork
    from autocompress.search import RunFolder

BICUBIC = "bicubic"  # what may be evaluated beside networks


@dataclass(frozen=True)
class NetworkCost:
    """FLOPs and parameters for an output of 1280x720, and how long that takes, by runtime."""

    flops: int
    params: int
    latency: dict[str, Latency]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        latency = {runtime: measured.to_dict() for runtime, measured in self.latency.items()}
        return {"flops": self.flops, "params": self.params, "latency": latency}


@dataclass(frozen=True)
class Evaluation:
    """Of a model: its scores on each data set, by the data set's name, and, where it was measured, its cost.

    `bicubic` are those of bicubic on the same images; empty where the model is bicubic. `lr` says of each data set
    whether LR images were read, and from where, or made.
    """

    model: str
    scale: int
    scores: dict[str, Scores]
    bicubic: dict[str, Scores] = field(default_factory=dict)
    lr: dict[str, str] = field(default_factory=dict)
    cost: NetworkCost | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types: the infinite PSNR of equal images is None."""
        data = {
            name: {
                "images": {image: _finite(row) for image, row in scores.images.items()},
                "mean": _finite(scores.mean),
                **({"lr": self.lr[name]} if name in self.lr else {}),
                **({"bicubic": _finite(self.bicubic[name].mean)} if name in self.bicubic else {}),
            }
            for name, scores in self.scores.items()
        }
        about = {"model": self.model, "scale": self.scale, "data": data}
        return about if self.cost is None else about | self.cost.to_dict()


@typed_arguments
def evaluate(
    model: str | Path | nn.Module,
    data: Sequence[str | Path] = (),
    *,
    lr: Sequence[str | Path] = (),
    scale: int | None = None,
    tile: int | None = None,
    skip_bad_images: bool = False,
    latency: bool = False,
    threads: int | None = None,
    device: str | None = None,
    progress: bool = True,
    **overrides: Any,
) -> Evaluation:
    """Score a model: PSNR and SSIM on luma and RGB, of each image and their mean.

    model: a student or foreign file, a shipped network's name, a torch.nn.Module, or `bicubic`.
    data: folders of HR images, with LR beside them or made here. None given: scikit-image's photographs.
    lr: folders of LR images of all these sets, or ("bicubic",) to have them made. None: see `data.layouts`.
    scale: upscaling factor, needed for bicubic. None: the model's.
    tile: run the network on tiles of so many LR pixels a side, which bounds memory.
    latency: measure its latency too, with `threads` on `device` (cpu or cuda; None: cuda, where there is a GPU).

    Raises InvalidInput for what cannot be used.
    """
    if not latency and (threads, device) != (None, None):
        raise InvalidInput("--threads and --device are for measuring; add --latency")
    refuse_alone(lr, "scores")
    named = [] if model == BICUBIC else [model]
    if not named:
        check_scale(scale)
    check_named(networks=named, codes=[overrides.get("code")], folders=data, lr=lr)

    from autocompress.data.embedded import embedded
    from autocompress.data.folders import open_folder
    from autocompress.evaluation.records import Scores
    from autocompress.evaluation.scores import MIN_SIDE, bicubic_upscaler, pairs
    from autocompress.evaluation.scores import evaluate as score
    from autocompress.networks.teachers import load_teacher
    from autocompress.networks.upscaling import check_tile
    from autocompress.terminal import counted

    overrides = as_files({**overrides, "model": model}, "model")
    model, network = str(overrides.pop("model")), None
    if model == BICUBIC:
        if latency:
            raise InvalidInput("--latency is for networks, and bicubic is none; leave --latency out")
        scale = _scale_of_bicubic(scale, tile)
    else:
        network = load_teacher(model, **overrides)
        if scale not in (None, network.scale):
            raise InvalidInput(f"--scale is {scale}, but {model} upscales by {network.scale}; leave --scale out")
        scale = network.scale
        check_tile(tile)
    sources = [
        open_folder(Path(folder), scale, min_size=MIN_SIDE, skip_bad_images=skip_bad_images, lr=lr) for folder in data
    ]
    results: dict[str, Scores] = {}
    bicubic: dict[str, Scores] = {}
    lr_said: dict[str, str] = {}
    for source in sources or [embedded("valid", scale)]:
        images = counted(pairs(source, skip_bad_images), len(source), f"scoring {source.name}", not progress)
        name = source.name if source.name not in results else str(source.files[0].hr.parent)
        of_model, of_bicubic = Scores({}), Scores({})
        upscale = bicubic_upscaler(scale) if network is None else _by_tiles(network, tile, images.part)
        for pair in images:
            of_model.images.update(score(upscale, [pair], scale).images)
            if network is not None:
                of_bicubic.images.update(score(bicubic_upscaler(scale), [pair], scale).images)
        results[name], lr_said[name] = of_model, source.lr_said
        if network is not None:
            bicubic[name] = of_bicubic
    cost = _measured(network, threads, device, progress) if network is not None and latency else None
    return Evaluation(model, scale, results, bicubic, lr_said, cost)


@typed_arguments
def measure_latency(
    run: str | Path, *, threads: int | None = None, device: str | None = None, progress: bool = True
) -> Result:
    """Measure each student on a run's front, store the latencies in the trials' folders, and write the front again.

    Its files are pareto.csv, pareto.json and report.html. Raises RunError where there is no front.
    """
    result = open_run(run)

    from autocompress.evaluation.latency import measure, this_machine
    from autocompress.networks import load
    from autocompress.search.results.front import write_pareto
    from autocompress.search.results.rows import front_rows

    folder = result.run
    front, machine = front_rows(folder), this_machine(threads, device)
    folder.check_writable(row["trial"] for row in front)
    for number, row in enumerate(front, 1):
        what = f"measuring trial {row['trial']} ({number} of {len(front)})"
        network = load(folder.trial(row["trial"]) / "student.safetensors")
        measured = measure(network, machine, on_failure=_tell, on_runtime=_measuring(what, progress))
        _tell_unsteady(measured)
        folder.write_latency(row["trial"], measured)
    write_pareto(folder)
    _write_report_again(folder)
    return result


def _scale_of_bicubic(scale: int | None, tile: int | None) -> int:
    if tile is not None:
        raise InvalidInput("--tile is for networks, and bicubic is none; leave --tile out")
    return 2 if scale is None else scale


def _by_tiles(network: SRNetwork, tile: int | None, report: OnDone) -> Upscaler:
    """The network as a function of images, which tells how many tiles of one are done, of how many."""
    from autocompress.networks.upscaling import network_upscaler, used_tiling

    def upscale(lr: Image) -> Image:
        count = used_tiling(network, lr.shape[0], lr.shape[1], tile).count(lr.shape[0], lr.shape[1])
        return network_upscaler(network, tile, one_by_one(report, count))(lr)

    return upscale


def _finite(row: dict[str, float]) -> dict[str, float | None]:
    return {metric: score if math.isfinite(score) else None for metric, score in row.items()}


def _measured(network: SRNetwork, threads: int | None, device: str | None, progress: bool) -> NetworkCost:
    from autocompress.evaluation.latency import measure, this_machine
    from autocompress.networks import describe

    machine = this_machine(threads, device)
    described = describe(network)
    measured = measure(network, machine, on_failure=_tell, on_runtime=_measuring("measuring", progress))
    _tell_unsteady(measured)
    return NetworkCost(described["flops"], described["params"], measured)


def _measuring(what: str, progress: bool) -> Callable[[str, int, int], None]:
    """What tells with which runtime a network is measured now, the how many-th of how many."""

    def tell(runtime: str, number: int, of: int) -> None:
        if progress:
            _tell(f"{what} with {runtime}, {number} of {of}...")

    return tell


def _write_report_again(run: RunFolder) -> None:
    """Write the report again, unless the study cannot be read (no password is given): then the old one tells more."""
    from autocompress.report import ReportData, write_report

    report = ReportData.of(run)
    if report.without_study is None:
        write_report(report)
    else:
        _tell(f"report.html is left as it is: {report.without_study}; `autocompress report` writes it anew")


def _tell_unsteady(measured: dict[str, Latency]) -> None:
    """Warn of times that differ much from each other."""
    from autocompress.compute.runtimes import RUNTIMES

    for runtime, latency in measured.items():
        if not latency.steady:
            times = " to ".join(map(format_milliseconds, latency.quartiles))
            name = RUNTIMES[runtime].name
            _tell(f"half of the times with {name} are {times} ms: measure again when nothing else runs")


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
