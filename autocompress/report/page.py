"""The report of a run: one HTML file with its figures, its script and its pictures inside."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from markupsafe import Markup

from autocompress.report.course import growth_figures
from autocompress.report.front import comparable, front_figure
from autocompress.report.learning import learning_figure
from autocompress.report.pictures import pictures, strip
from autocompress.report.rendering import render, write_page
from autocompress.report.report_data import ReportData
from autocompress.report.still import still
from autocompress.search.results.columns import Column, Row, columns_of, reference_rows
from autocompress.search.results.importances import MIN_TRIALS, importances
from autocompress.units import decibels, format_count, quantity

SEEN = 0.02  # share of the time; phases with less are put together


def write_report(report: ReportData, path: Path | None = None) -> Path:
    """Write report.html into the run folder, or to another `path`; returns its path; InvalidInput if it cannot be."""
    return write_page(report.run.path / "report.html" if path is None else path, _page(report))


def _page(report: ReportData) -> str:
    axis, limit = report.axis, getattr(report.config.search.budget, report.axis.budget)
    front, images, best = front_figure(report), pictures(report), report.pick
    return render(
        "report.html",
        ["report.js", "viewer.js", "start.js"],
        {"front": front} | growth_figures(report) | learning_figure(report),
        {"pictures": images, "pick": None if best is None else best["trial"]},
        report=report,
        still=Markup(still(front)),
        strip=None if best is None else strip(report, best["trial"]),
        pictures=images,
        limit=None if limit is None else axis.said(limit),
        by_teacher=report.by_teacher,
        comparable=comparable(report),
        refined=bool(report.students["refined_steps"].any()),
        columns=[*columns_of(report.rows, report.config), *_recipe_columns(report)],
        references=reference_rows(report.config),
        sorted_by="FLOPs" if axis.key == "flops" else "PyTorch ms",
        facts=_facts(report),
        commands=_commands(report),
        importances=_importances(report),
        enough=MIN_TRIALS,
        times=_times(report),
    )


def _facts(report: ReportData) -> dict[str, str]:
    """What was searched, and with what."""
    config, search = report.config, report.config.search
    teachers = (
        f"{name}: {decibels(teacher.psnr_y)} dB, {format_count(teacher.flops)} FLOPs, "
        f"{format_count(teacher.params)} parameters"
        for name, teacher in report.teachers.items()
    )
    bicubic = decibels(report.references.bicubic.psnr_y)
    started = min((session.started for session in report.run.times), default=None)
    return {
        "Space": ", ".join(search.spaces),
        "Teacher": "; ".join(teachers),
        "Budget": str(search.budget),
        "Trained on": str(config.train),
        "Scored on": f"{config.valid} (validation images), where bicubic has {bicubic} dB",
        "Training": f"{quantity(search.recipe['steps'], 'step')}, started by {search.init}",
        "Machine": config.machine or "not recorded by the version that made this run",
        "Precision": f"{config.precision}; scores are always computed in float32",
        "Sampler": f"{search.sampler}, seed {search.seed}",
        "Trials": _trials(report),
        **({} if started is None else {"Started": time.strftime("%Y-%m-%d %H:%M", time.localtime(started))}),
        "Versions": ", ".join(f"{name} {version}" for name, version in config.versions.items()),
    }


def _trials(report: ReportData) -> str:
    """How many trials finished, were stopped or failed, and whether more are to come."""
    wanted = report.config.trials
    if report.without_study is not None:
        return f"{len(report.students)} finished" + ("" if wanted is None else f", of {wanted} wanted")
    ends = [state for _, state, _ in report.early]
    counts = {
        "finished": len(report.over) - len(ends),
        "stopped": ends.count("stopped"),
        "failed": ends.count("failed"),
    }
    said = ", ".join(f"{number} {what}" for what, number in counts.items() if number or what == "finished")
    going_on = "; the search was still running when this was written" if report.sessions else ""
    return f"{said}{'' if wanted is None else f', of {wanted} wanted'}{going_on}"


def _commands(report: ReportData) -> dict[str, str]:
    """Commands for what to do with the pick."""
    if report.pick is None:
        return {}
    file, run = (shlex.quote(str(Path(path).absolute())) for path in (report.pick["file"], report.run.path))
    trial, scale = report.pick["trial"], report.config.scale
    return {
        "Write it as files that other code loads": f"autocompress export {run} --trial {trial} --out models",
        "Upscale a photo with it": f"autocompress upscale {run} photo.jpg photo-x{scale}.png",
        "Score it on images of your own": f"autocompress evaluate {file} --data IMAGES",
    }


def _recipe_columns(report: ReportData) -> list[Column]:
    """The fields of the recipe that are not the same for all students, in one column; none where there are none."""
    recipes = report.students["recipe"].tolist()
    keys = list(dict.fromkeys(key for recipe in recipes for key in recipe if key != "seed"))
    varied = [key for key in keys if len({repr(recipe.get(key)) for recipe in recipes}) > 1]

    def text(row: Row) -> str:
        recipe = row.get("recipe", {})
        return " ".join(f"{key}={_short(recipe[key])}" for key in varied if key in recipe)

    return [Column("recipe", text)] if varied else []


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _importances(report: ReportData) -> list[dict[str, Any]]:
    """For each space its name, what its importances are computed from, and the share of each parameter."""
    spaces = report.config.search.spaces
    tables = []
    for of_space in importances(report.trials):
        own = {name.rpartition(".")[2]: float(share) for name, share in of_space.shares.items() if name != "space"}
        prefix = next((name.rpartition(".")[0] for name in of_space.names if "." in name), next(iter(spaces)))
        unvaried = [name.rpartition(".")[2] for name in of_space.unvaried if name != "space"]
        stage = "trained to the end"
        if of_space.step is not None:
            stage = f"after {quantity(of_space.step, 'step')}, {of_space.stopped} of them stopped early"
        tables.append(
            {
                "space": prefix,
                "students": f"{quantity(of_space.count, 'student')} {stage}",
                "shares": own,
                "unvaried": unvaried,
            }
        )
    return tables


def _times(report: ReportData) -> dict[str, Any]:
    """Where the time of all sessions went, the largest part first; small parts are put together."""
    parts: dict[str, float] = {}
    for session in report.run.times:
        for name, seconds in session.parts.items():
            parts[name] = parts.get(name, 0.0) + seconds
    total = sum(parts.values())
    large = {name: seconds for name, seconds in parts.items() if name != "other" and seconds >= SEEN * total}
    ordered = dict(sorted(large.items(), key=lambda part: -part[1])) | {"all else": total - sum(large.values())}
    return {"total": total, "parts": ordered, "sessions": len(report.run.times)}
