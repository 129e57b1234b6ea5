"""Tables for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autocompress.cli.printing import Table, say, show
from autocompress.compute.runtimes import RUNTIMES
from autocompress.evaluation.records import Latency, Scores
from autocompress.search.results.columns import columns_of, reference_rows
from autocompress.search.results.intervals import Intervals
from autocompress.search.results.rows import Rows, note_of_pick, note_of_training, objective, pick
from autocompress.search.run.folder import RunFolder
from autocompress.units import decibels, format_count, format_milliseconds, images_in_words, quantity

if TYPE_CHECKING:
    from autocompress.api import Evaluation


SPARE_OF_SCORES = ("SSIM-RGB", "PSNR-RGB dB")


def spare_of_front(run: RunFolder) -> tuple[str, ...]:
    """The columns of a run's front that `show` may leave out, the least important first."""
    spare = (
        "before refining",
        "steps more",
        "over bicubic",
        "of teacher",
        "ONNX ms",
        "SSIM-Y",
        "under teacher",
        "params",
        "to the pick",
    )
    return spare if objective(run) == "latency" else (*spare, "PyTorch ms")


def show_front(run: RunFolder, front: Rows, pick_line: str = "") -> None:
    """The front as a table, and below it the pick: which cheaper students are as good, and what ± says.

    `pick_line` says more of the pick, after the table.
    """
    show(front_table(run, front), spare_of_front(run))
    picked, students = pick(front)["trial"], run.students()
    lines = [pick_line or f"Pick (*): trial {picked}"]
    (trained,) = (note_of_training(student) for student in students if student.trial == picked)
    if trained is not None:
        lines.append(f"Trained for too short a time: {trained}")
    if (note := note_of_pick(front)) is not None:
        lines.append(f"As good as the pick: {note}")
    lines.append(Intervals.of(run, students).note)
    say("\n" + "\n".join(lines))


def front_table(run: RunFolder, front: Rows) -> Table:
    """The front between bicubic and the (best) teacher; the pick is marked with a star."""
    config = run.config
    table = Table(title=f"Pareto front on {quantity(config.valid.images, 'validation image')}")
    table.add_column("trial")
    columns = columns_of(front, config)
    for column in columns:
        numbers = column.number is not None
        table.add_column(column.heading, justify="right" if numbers else "left", no_wrap=numbers)
    if machines := sorted({row["latency_on"] for row in front if row["latency_on"] is not None}):
        table.add_caption("measured on " + "; ".join(machines))
    bicubic, teacher = reference_rows(config)
    table.add_row("", *(column.text(bicubic) for column in columns), style="dim")
    best = pick(front)["trial"]
    for row in front:
        is_pick = row["trial"] == best
        trial = f"{row['trial']}{' *' * is_pick}"
        table.add_row(trial, *(column.text(row) for column in columns), style="bold" if is_pick else None)
    table.add_row("", *(column.text(teacher) for column in columns), style="dim")
    return table


def latency_table(flops: int, params: int, measured: list[Latency]) -> Table:
    """The latency of one network by runtime, beside its FLOPs and parameters."""
    first = measured[0]
    image = f"one image of {first.width}x{first.height}, {first.dtype}"
    title = f"{format_count(flops)} FLOPs and {format_count(params)} parameters; {image}"
    table = Table(title=title)
    for heading in ("runtime", "machine"):
        table.add_column(heading)
    for heading in ("median ms", "quartiles ms", "runs", "ms per GFLOP", "memory"):
        table.add_column(heading, justify="right")
    for latency in measured:
        table.add_row(
            f"{RUNTIMES[latency.runtime].name} {latency.version}",
            str(latency.machine),
            format_milliseconds(latency.median),
            " to ".join(map(format_milliseconds, latency.quartiles)),
            str(latency.runs),
            f"{latency.median / flops * 1e9:.2f}",
            "" if latency.peak_memory is None else f"{latency.peak_memory / 1e6:.0f} MB",
        )
    return table


def show_scores(evaluation: Evaluation) -> None:
    """The scores on each data set, and, where they were measured, how long the network takes."""
    for name, scores in evaluation.scores.items():
        images = images_in_words(len(scores.images), name)
        title = f"{evaluation.model} on {images}, x{evaluation.scale}; {evaluation.lr[name]}"
        show(scores_table(title, scores, evaluation.bicubic.get(name)), SPARE_OF_SCORES)
    if evaluation.cost is not None:
        cost = evaluation.cost
        show(latency_table(cost.flops, cost.params, list(cost.latency.values())))


def scores_table(title: str, scores: Scores, bicubic: Scores | None = None) -> Table:
    """The scores of each image and their mean, with the mean of bicubic on the same images below."""
    table = Table(title=title, show_footer=True)
    table.add_column("image", footer="mean" if bicubic is None else "mean\nbicubic")
    headings = {
        "psnr_y": "PSNR-Y dB",
        "ssim_y": "SSIM-Y",
        "psnr_rgb": "PSNR-RGB dB",
        "ssim_rgb": "SSIM-RGB",
        "psnr_y_edge": "edge dB",
    }
    for metric, heading in headings.items():
        means = [scores.mean[metric], *([] if bicubic is None else [bicubic.mean[metric]])]
        table.add_column(heading, justify="right", footer="\n".join(_score(metric, mean) for mean in means))
    for image, row in scores.images.items():
        table.add_row(image, *(_score(metric, row[metric]) for metric in headings))
    return table


def _score(metric: str, value: float) -> str:
    return decibels(value) if metric.startswith("psnr") else f"{value:.4f}"


MANY_LAYERS = 50  # of which a table shows the groups instead


def densities_table(about: dict[str, Any]) -> Table:
    """The density of each layer, or, where they are many, of each part of the network that repeats and of the rest.

    `about` is what `Pruned.to_dict` says and the teacher's name.
    """
    layers = about["layers"]
    listed = layers
    if len(layers) > MANY_LAYERS:
        listed = about["groups"] + [layer for layer in layers if not layer["groups"]]
    title = f"Densities of {about['name']}"
    table = Table(title=title, show_footer=True)
    table.add_column("layer" if listed is layers else "part", footer="all")
    total = about["total"]
    columns = {"weights": "{:,}", "nonzero": "{:,}", "density": "{:.1%}"}
    for column, form in columns.items():
        table.add_column(column, justify="right", footer=form.format(total[column]))
    for row in listed:
        table.add_row(row["name"], *(form.format(row[column]) for column, form in columns.items()))
    return table


def suggestion_table(about: dict[str, Any]) -> Table:
    """The student that the densities suggest beside the teacher, and the teacher's PSNR before and after pruning."""
    from autocompress.networks import shape

    table = Table(title=f"Suggested by the densities; PSNR on {about['images']['valid']}")
    for heading in ("", "network"):
        table.add_column(heading)
    for heading in ("FLOPs", "params", "of teacher", "PSNR-Y dB"):
        table.add_column(heading, justify="right")
    psnr, teacher = about["psnr_y"], about["teacher"]
    scores = {"teacher": f"{decibels(psnr['before'])}, pruned {decibels(psnr['after'])}", "suggested": ""}
    for name, score in scores.items():
        network = about[name]
        table.add_row(
            name,
            shape(network["family"], network["config"]),
            format_count(network["flops"]),
            format_count(network["params"]),
            f"{network['flops'] / teacher['flops']:.1%}",
            score,
        )
    return table
