"""A run's students as files for other code: its whole front with an index, or one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autocompress.errors import InvalidInput, RunError
from autocompress.evaluation.scores import TO_TEACHER
from autocompress.export.card import table
from autocompress.export.files import export_file, writing_to
from autocompress.export.formats import check_formats
from autocompress.io import checkpoints
from autocompress.names import Markdown, as_markdown
from autocompress.networks import in_official_code
from autocompress.search.results.columns import NETWORK
from autocompress.search.results.front import LATENCIES, objective, pareto, pick, rows, students
from autocompress.search.run.folder import RunFolder
from autocompress.search.settings import Settings
from autocompress.units import format_count, format_milliseconds

PICK = "pick"
TIMED = (*LATENCIES.values(), "latency_on")
LISTED = ("trial", "family", "config", "psnr_y", TO_TEACHER, "ssim_y", "flops", "params", "flops_share", *TIMED)


def export_front(run: RunFolder, out: Path, formats: Sequence[str], half: bool = False) -> list[Path]:
    """Export every student of the front, with index.json and README.md about them; returns the files of weights.

    Raises RunError where there is no front.
    """
    check_formats(formats, half)
    front = pareto(run)
    best, exported = pick(front)["trial"], []
    for row in rows(front):
        files = _export(run, row, out, formats, half)
        listed = {key: row[key] for key in LISTED} | {"pick": row["trial"] == best}
        listed["official_code"] = in_official_code(row["family"], row["config"])
        exported.append(listed | {"files": [file.name for file in files], "card": f"{_name(row)}.md"})
    config = run.config
    index = {
        "run": run.path.resolve().name,
        "objective": objective(run),
        "budget": asdict(config.search.budget),
        "scale": config.scale,
        "valid": asdict(config.valid),
        "references": config.references.to_dict(),
        "pick": best,
        "students": exported,
    }
    with writing_to(out):
        checkpoints.write_json(out / "index.json", index)
        checkpoints.write_text(out / "README.md", _readme(index, config.teacher.name))
    return [out / file for row in exported for file in row["files"]]


def export_trial(run: RunFolder, trial: str, out: Path, formats: Sequence[str], half: bool = False) -> list[Path]:
    """Export the student of one trial, by its number or `pick`, on the front or not; RunError where it has none."""
    check_formats(formats, half)
    if trial == PICK:
        return _export(run, pick(pareto(run)), out, formats, half)
    if not trial.isdecimal():
        raise InvalidInput(f"--trial is {trial!r}, but must be the number of a trial, or {PICK}")
    rows_by_trial = {row["trial"]: row for row in rows(students(run))}
    if int(trial) not in rows_by_trial:
        raise RunError(
            f"{run.path}: trial {int(trial)} has no student: there is no such trial, or it was not trained to its end; "
            f"these have: {', '.join(map(str, sorted(rows_by_trial))) or 'none yet'}"
        )
    return _export(run, rows_by_trial[int(trial)], out, formats, half)


def _export(run: RunFolder, row: dict[str, Any], out: Path, formats: Sequence[str], half: bool) -> list[Path]:
    settings = run.config.settings
    known: dict[str, Any] = (
        {} if settings is None else {"provenance": {"command": Settings.from_dict(settings).command}}
    )
    known |= {key: row[key] for key in TIMED if row[key] is not None}
    return export_file(Path(row["file"]), _name(row), out, formats, half=half, known=known)


def _name(row: dict[str, Any]) -> str:
    return f"trial-{row['trial']:04d}"


def _readme(index: dict[str, Any], teacher: str) -> str:
    bicubic, best = index["references"]["bicubic"], index["references"]["teacher"]
    students = index["students"]
    timed = {name: key for name, key in LATENCIES.items() if any(row[key] is not None for row in students)}
    empty = [""] * (5 + len(timed))
    lines: list[Sequence[object]] = [("", "bicubic", f"{bicubic['psnr_y']:.2f}", f"{bicubic['ssim_y']:.4f}", *empty)]
    for row in students:
        lines.append(
            (
                Markdown(f"[{row['trial']}]({row['card']}){' **pick**' * row['pick']}"),
                *(column.text(row) for column in NETWORK),
                *(format_milliseconds(row[key]) for key in timed.values()),
                "yes" if row["official_code"] else "no",
                Markdown(", ".join(f"[{file}]({file})" for file in row["files"])),
            )
        )
    counts = (format_count(best["flops"]), format_count(best["params"]))
    times = (format_milliseconds(best.get(key)) for key in timed.values())
    named = f"teacher {teacher}"
    lines.append(("", named, f"{best['psnr_y']:.2f}", f"{best['ssim_y']:.4f}", *counts, "100.0%", *times, "", ""))
    headings = ["trial", "student", "PSNR-Y dB", "SSIM-Y", "FLOPs", "params", "of teacher's FLOPs", *timed]
    headings += ["official code", "files"]
    machines = "; ".join(sorted({row["latency_on"] for row in students if row["latency_on"] is not None}))
    measured = f"Milliseconds are for the same, measured on {machines}. " if timed else ""
    cost = "speed" if index["objective"] == "latency" else "size"
    return (
        f"# Students of {as_markdown(index['run'])}\n\n"
        f"Networks that upscale by {index['scale']}, each the best of its {cost} that a search by autocompress found. "
        f"Scores are means over the {index['valid']['images']} validation images; FLOPs are for an output of 1280x720, "
        f"one fused multiply-add is one. {measured}The pick has the best PSNR-Y. *Official code* says whether the "
        "architecture's own code, such as BasicSR for EDSR, has such a network; all load in autocompress, and ONNX and "
        "pt2 run without either.\n\n"
        f"{table(headings, lines)}\n"
    )
