"""Model cards: what a network is, how good, made of what, and how to load it, in Markdown as model hubs show it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import autocompress
from autocompress.compute.runtimes import RUNTIMES
from autocompress.export import loading
from autocompress.export.formats import PROGRAMS, Wanted
from autocompress.export.metadata import OTHER, front_matter
from autocompress.io import atomic
from autocompress.names import Markdown, as_markdown, printable
from autocompress.networks import describe, family_of, in_words
from autocompress.networks.base import SRNetwork
from autocompress.networks.teachers import shipped
from autocompress.units import decibels, format_count, format_milliseconds, quantity

TO_TEACHER = "psnr_y_to_teacher"  # of a search by --score teacher
METRICS = {
    "psnr_y": "PSNR-Y dB",
    TO_TEACHER: "PSNR-Y dB to its teacher",
    "ssim_y": "SSIM-Y",
    "psnr_rgb": "PSNR-RGB dB",
    "ssim_rgb": "SSIM-RGB",
    "psnr_y_edge": "PSNR-Y dB at the edge",
}
OPTIONAL = (TO_TEACHER, "psnr_y_edge")  # not in every file: students of before have no score of the edge

# what the numbers of a training are called where their names alone would be riddles
RECIPE = {
    "patch_size": "side of a patch, in LR pixels",
    "warmup": "warm-up, as a share of the steps",
    "clip": "largest norm of the gradient",
    "ema": "decay of the moving average of the weights",
    "teacher_loss": "loss to the teacher's output",
    "teacher_share": "share of that in the loss; the rest is L1 to the truth",
    "feature_weight": "weight of the loss to the teacher's features",
    "halve_at": "steps at which the learning rate is halved",
}
UNSAID = ("feature_weight", "halve_at")  # where there is none


def write_card(
    path: Path,
    network: SRNetwork,
    about: Mapping[str, Any],
    files: Sequence[Path],
    wanted: Wanted,
    picture: Path | None = None,
) -> None:
    """Write the card of a network of which `wanted` was exported to `files`; `about` is as student.json.

    A `picture` beside it is shown.
    """
    atomic.write_text(path, card(path.stem, network, about, [file.name for file in files], wanted, picture))


def card(
    name: str,
    network: SRNetwork,
    about: Mapping[str, Any],
    files: Sequence[str],
    wanted: Wanted,
    picture: Path | None = None,
) -> str:
    """The content of that card, of the names of files; nearly any exception where `about` is of another shape."""
    provenance = about.get("provenance", {})
    licence, licence_note = licence_of(provenance)
    plain = family_of(network).for_export(network)
    described = {**about, "family": network.family, "scale": network.scale}
    shown = [] if picture is None else [f"![A piece of a validation image, beside others]({picture.name})"]
    sections = [
        front_matter({name: described}, licence, [Path(file).suffix for file in files]),
        f"# {as_markdown(name)}\n\n"
        f"Upscales photographs by {network.scale}: {as_markdown(in_words(network))}. "
        "Exported by autocompress, which prunes and distills super-resolution networks.",
        *shown,
        "## Network\n\n" + _network(plain, about, files),
        "## Scores\n\n" + _scores(about.get("metrics", {}), provenance, network.scale),
        "## Training\n\n" + _training(provenance),
        "## Use\n\n" + loading.instructions(plain, list(files), wanted),
        "## Licence\n\n" + licence_note,
        f"## Versions\n\n{_versions(provenance)}",
    ]
    return "\n\n".join(sections) + "\n"


def program_flops(network: SRNetwork) -> int | None:
    """FLOPs of a network as ONNX and pt2 hold it, for 1280x720; None where these are those of the network itself."""
    family = family_of(network)
    folded = family.program_flops(network.config)
    return None if folded == family.flops(network.config) else folded


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; what is not `Markdown` in it is shown as it is."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(content: object) -> str:
    """The content of a cell, as text unless it is Markdown of ours."""
    return content if isinstance(content, Markdown) else as_markdown(str(content))


def _network(network: SRNetwork, about: Mapping[str, Any], files: Sequence[str]) -> str:
    described = describe(network)
    rows = [("family", described["family"]), *described["config"].items()]
    rows += [
        ("FLOPs", f"{format_count(described['flops'])} ({described['flops']:,}) for an output of 1280x720"),
        ("parameters", f"{described['params']:,}"),
    ]
    endings = list(dict.fromkeys(Path(file).suffix[1:] for file in files))
    folded, programs = program_flops(network), [ending for ending in endings if ending in PROGRAMS]
    if folded is not None and programs:
        said = f"{format_count(folded)} ({folded:,}); its last convolutions are one there, with the same result"
        rows.append((f"FLOPs as {' and '.join(programs)}", said))
    if (int8 := about.get("int8")) is not None:
        trained = f"trained for int8 for {quantity(int8['refined_steps'], 'step')}; " if int8["refined_steps"] else ""
        said = f"{decibels(int8['psnr_y'])} dB PSNR-Y, in float32 {decibels(int8['psnr_y_float32'])} dB, on "
        rows.append(("as int8", f"{said}{int8['scored_on']}; {trained}calibrated on {int8['calibrated_on']}"))
    measured = [runtime for runtime in RUNTIMES.values() if runtime.column in about]
    if times := [f"{format_milliseconds(about[timed.column])} ms with {timed.name}" for timed in measured]:
        where = f", measured on {about['latency_on']}" if "latency_on" in about else ""
        rows.append(("latency", f"{' and '.join(times)} for an output of 1280x720{where}"))
    return (
        table(["", ""], rows) + "\n\nFLOPs are fvcore's count, in which one fused multiply-add is one. "
        "Images go in and out as RGB in [0, 1], of any size; what comes out is not clipped."
    )


def _scores(metrics: Mapping[str, Any], provenance: Mapping[str, Any], scale: int) -> str:
    validation = provenance.get("validation", {})
    if not metrics:
        return "Nothing is recorded; `autocompress evaluate FILE --data DIR` measures it."
    if all(isinstance(scores, Mapping) for scores in metrics.values()):  # of several sets of images
        return _table("images", list(metrics.items()))
    images = str(provenance.get("scored_on", "unrecorded images"))
    kept = [
        ("bicubic", validation.get("bicubic")),
        (Markdown("**this network**"), metrics),
        (f"teacher {provenance.get('teacher', '')}", validation.get("teacher")),
    ]
    return (
        _table("", [(name, scores) for name, scores in kept if scores]) + f"\n\nMeans over {as_markdown(images)}, "
        f"without a border of {scale} pixels, which is what counts as the edge; Y is BT.601's luma. "
        "Students were chosen by these images, so scores on others tell more of what to expect."
    )


def _table(first: str, rows: Sequence[tuple[str, Mapping[str, float]]]) -> str:
    """Scores by metric; OPTIONAL ones only where they are known."""
    known = {
        key: heading for key, heading in METRICS.items() if key not in OPTIONAL or any(key in row for _, row in rows)
    }

    def cell(scores: Mapping[str, float], metric: str) -> str:
        return f"{scores[metric]:.{2 if metric.startswith('psnr') else 4}f}" if metric in scores else ""

    return table([first, *known.values()], [(name, *(cell(row, metric) for metric in known)) for name, row in rows])


def _training(provenance: Mapping[str, Any]) -> str:
    known = {
        "teacher": provenance.get("teacher"),
        "learnt from": provenance.get("target"),
        "start": provenance.get("init"),
        "images": provenance.get("trained_on") or provenance.get("data"),
        "training": provenance.get("training"),
        "trained by": provenance.get("trained_by"),
    }
    rows = [(name, value) for name, value in known.items() if value is not None]
    recipe = {name: value for name, value in provenance.get("recipe", {}).items() if name not in UNSAID or value}
    rows += [
        (RECIPE.get(name, name.replace("_", " ")), f"{value:.4g}" if isinstance(value, float) else value)
        for name, value in recipe.items()
    ]
    parts = [table(["", ""], rows)] if rows else ["Nothing is recorded of how it was trained."]
    if "command" in provenance:
        command = printable(provenance["command"])
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", command)), default=0))
        parts.append(f"Made by\n\n{fence}\n{command}\n{fence}")
    return "\n\n".join(parts)


def licence_of(provenance: Mapping[str, Any]) -> tuple[str, str]:
    """The licence for the YAML header, and in words: a student derives from its teacher and from its target."""
    known, unknown = shipped(), OTHER
    if "licence" in provenance:
        return "apache-2.0", f"{as_markdown(str(provenance['licence']))}."
    sources = sorted({provenance[key] for key in ("teacher", "target") if provenance.get(key)})
    if not sources:
        return (
            unknown,
            "Nothing is recorded of where these weights come from: check their licence before you share them.",
        )
    own = [source for source in sources if source not in known]
    notes = [f"- {name}: {known[name].about['provenance']['licence']}." for name in sources if name in known]
    notes += [
        f"- {as_markdown(name)}: not one that ships with autocompress; its licence is yours to check." for name in own
    ]
    text = "These weights derive from\n\n" + "\n".join(notes)
    text += "\n\nThe images that it was trained on may have terms of their own."
    return unknown if own else "apache-2.0", text


def _versions(provenance: Mapping[str, Any]) -> str:
    trained = ", ".join(f"{name} {version}" for name, version in provenance.get("versions", {}).items())
    exported = f"Exported with autocompress {autocompress.__version__}, torch {torch.__version__}."
    return f"Trained with {as_markdown(trained)}. {exported}" if trained else exported
