"""A run's students as files for other code: its whole front with an index, or one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autocompress.errors import InvalidInput, RunError
from autocompress.export.card import licence_of, table
from autocompress.export.files import Exported, int8_of, read_exported, writing_to
from autocompress.export.formats import Wanted
from autocompress.export.metadata import front_matter
from autocompress.io import atomic
from autocompress.io.overwriting import check_ours, is_card, is_index
from autocompress.names import Markdown, as_markdown
from autocompress.networks import file_name, in_official_code
from autocompress.progress import OnDone, one_by_one, untold
from autocompress.search.results.columns import NETWORK
from autocompress.search.results.rows import KEYS, LATENCIES, front_rows, objective, pick, student_rows
from autocompress.search.run.config import RunConfig
from autocompress.search.run.crops import crops_of, side_by_side
from autocompress.search.run.folder import CONFIG, RunFolder
from autocompress.search.run.student import StoredStudent
from autocompress.search.settings import Settings
from autocompress.units import decibels, format_count, format_milliseconds

PICK, README, INDEX = "pick", "README.md", "index.json"
TIMED = (*LATENCIES.values(), "latency_on")
# In an index there is no pick to compare with, and no run around the file.
NOT_LISTED = ("gain_over_bicubic", "loss_to_teacher", "to_pick", "plus_minus", "psnr_y_before", "refined_steps", "file")
LISTED = tuple(key for key in KEYS if key not in NOT_LISTED)


def export_front(run: RunFolder, out: Path, wanted: Wanted, report: OnDone = untold) -> list[Path]:
    """Export every student of the front, with index.json and README.md about them; returns the files of weights.

    All are read before the first is written; `report` is told how many files are written, of how many. Raises RunError
    where there is no front, CheckpointError where a student's file is damaged or another's, and InvalidInput where what
    is not ours would be replaced.
    """
    front, names = front_rows(run), file_names(run)
    best, exported, models = pick(front)["trial"], [], {}
    students = [_read(run, row, names, wanted) for row in front]
    check_ours(out / INDEX, is_index, "the index of a front")
    check_ours(out / README, is_card, "a page of a front that was exported")
    for student in students:
        student.check(out, wanted)
    on_file = one_by_one(report, len(students) * len(wanted.formats))
    for row, student in zip(front, students, strict=True):
        files = student.write(out, wanted, lambda *_: on_file())
        listed = {key: row[key] for key in LISTED} | {"pick": row["trial"] == best}
        if (int8 := int8_of(files)) is not None:
            listed |= {"psnr_y_int8": int8["psnr_y"], "psnr_y_float32": int8["psnr_y_float32"]}
        models[names[row["trial"]]] = atomic.read_json(files[0].with_suffix(".json"))
        listed["official_code"] = in_official_code(row["family"], row["config"])
        exported.append(listed | {"files": [file.name for file in files], "card": f"{names[row['trial']]}.md"})
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
    licence, note = licence_of(next(iter(models.values())).get("provenance", {}))
    header = front_matter(models, licence, {Path(file).suffix for row in exported for file in row["files"]})
    with writing_to(out):
        atomic.write_json(out / INDEX, index)
        atomic.write_text(out / README, f"{header}\n\n{_readme(index, config.teacher.name)}\n## Licence\n\n{note}\n")
    return [out / file for row in exported for file in row["files"]]


def export_trial(run: RunFolder, trial: str, out: Path, wanted: Wanted, report: OnDone = untold) -> list[Path]:
    """Export the student of one trial, by its number or `pick`, on the front or not; RunError where it has none."""
    if trial == PICK:
        return _read(run, pick(front_rows(run)), file_names(run), wanted).write(out, wanted, report)
    if not trial.isdecimal():
        raise InvalidInput(f"--trial is {trial!r}, but must be the number of a trial, or {PICK}")
    rows_by_trial = {row["trial"]: row for row in student_rows(run)}
    if int(trial) not in rows_by_trial:
        raise RunError(
            f"{run.path}: trial {int(trial)} has no student: there is no such trial, or it was not trained to its end; "
            f"these have: {', '.join(map(str, sorted(rows_by_trial))) or 'none yet'}"
        )
    return _read(run, rows_by_trial[int(trial)], file_names(run), wanted).write(out, wanted, report)


def file_names(run: RunFolder) -> dict[int, str]:
    """What the files of each student are called, by trial; see `networks.file_name`.

    Of students that differ in their training alone, the names have their trials, too.
    """
    config = run.config
    found = {
        student.trial: file_name(
            student.family, student.config, config.scale, student.flops, _teacher_config(config, student)
        )
        for student in run.students()
    }
    times = Counter(found.values())
    return {trial: name if times[name] == 1 else f"{name}-trial{trial}" for trial, name in found.items()}


def _teacher_config(config: RunConfig, student: StoredStudent) -> Mapping[str, Any] | None:
    """Of the teacher that a student was made of; None where that is of another family."""
    taught = config.taught_spaces.get(student.provenance.space or "")
    teacher = config.teacher if taught is None else taught.teacher
    return teacher.config if teacher.family == student.family else None


def _read(run: RunFolder, row: dict[str, Any], names: Mapping[int, str], wanted: Wanted) -> Exported:
    config, settings = run.config, run.config.settings
    known: dict[str, Any] = (
        {} if settings is None else {"provenance": {"command": Settings.of_config(run.path / CONFIG, settings).command}}
    )
    known |= {key: row[key] for key in TIMED if row[key] is not None}
    pieces = crops_of(run)
    picture = None if pieces is None else side_by_side(pieces, run.trial(row["trial"]), config.teacher.name)
    name = names[row["trial"]]
    return read_exported(Path(row["file"]), name, wanted, known=known, picture=picture)


def _readme(index: dict[str, Any], teacher: str) -> str:
    bicubic, best = index["references"]["bicubic"], index["references"]["teacher"]
    students = index["students"]
    timed = {name: key for name, key in LATENCIES.items() if any(row[key] is not None for row in students)}
    of_int8 = any("psnr_y_int8" in row for row in students)
    empty = [""] * (5 + len(timed) + of_int8)
    lines: list[Sequence[object]] = [("", "bicubic", decibels(bicubic["psnr_y"]), f"{bicubic['ssim_y']:.4f}", *empty)]
    for row in students:
        lines.append(
            (
                Markdown(f"[{row['trial']}]({row['card']}){' **pick**' * row['pick']}"),
                *(column.text(row) for column in NETWORK),
                *(format_milliseconds(row[key]) for key in timed.values()),
                *([decibels(row["psnr_y_int8"])] if of_int8 else []),
                "yes" if row["official_code"] else "no",
                Markdown(", ".join(f"[{file}]({file})" for file in row["files"])),
            )
        )
    counts = (format_count(best["flops"]), format_count(best["params"]))
    times = (format_milliseconds(best.get(key)) for key in timed.values())
    named = f"teacher {teacher}"
    lines.append(
        ("", named, decibels(best["psnr_y"]), f"{best['ssim_y']:.4f}", *counts, "100.0%", *times, *[""] * (2 + of_int8))
    )
    headings = ["trial", "student", "PSNR-Y dB", "SSIM-Y", "FLOPs", "params", "of teacher's FLOPs", *timed]
    headings += ["PSNR-Y dB as int8"] * of_int8
    headings += ["official code", "files"]
    machines = "; ".join(sorted({row["latency_on"] for row in students if row["latency_on"] is not None}))
    measured = f"Milliseconds are for the same, measured on {as_markdown(machines)}. " if timed else ""
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
