"""The report of a run: one HTML file with its pictures, its script and its crops inside."""

from __future__ import annotations

import json
import shlex
import time
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from autocompress.errors import DiskFull, InvalidInput
from autocompress.io import checkpoints
from autocompress.networks import shape
from autocompress.report.comparison import comparison
from autocompress.report.course import growth_figures
from autocompress.report.figure_pages import CONFIG, POLICY
from autocompress.report.front import front_figure
from autocompress.report.learning import learning_figure
from autocompress.report.report_data import ReportData
from autocompress.report.theme import DARK, LIGHT, variables
from autocompress.search.results.front import format_difference
from autocompress.search.results.importances import MIN_TRIALS, importances
from autocompress.units import format_count, format_duration, format_milliseconds

FOLDER = Path(__file__).parent
SEEN = 0.02  # share of the time; phases with less are put together


def write_report(report: ReportData, path: Path | None = None) -> Path:
    """Write report.html into the run folder, or to another `path`; returns its path; InvalidInput if it cannot be."""
    path = report.run.path / "report.html" if path is None else path
    try:
        checkpoints.write_text(path, _page(report))
    except DiskFull:
        raise
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be written to ({error.strerror}); give another file with --out") from error
    return path


@cache
def _template() -> Template:
    """The page's template, compiled once for a process."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": format_count, "duration": format_duration, "shape": _shape}
    environment.filters["ms"] = format_milliseconds
    environment.globals["difference"] = format_difference
    return environment.get_template("page.html")


def _page(report: ReportData) -> str:
    axis, limit = report.axis, getattr(report.config.search.budget, report.axis.budget)
    crops = comparison(report)
    figures = {"front": front_figure(report)} | growth_figures(report) | learning_figure(report)
    refined = bool(report.students["refined_steps"].any())
    data = {
        "figures": {name: json.loads(figure.to_json()) for name, figure in figures.items()},
        "comparison": crops,
        "config": CONFIG,
    }
    return _template().render(
        report=report,
        style=Markup(_part("style.css")),
        light=Markup(variables(LIGHT)),
        dark=Markup(variables(DARK)),
        policy=Markup(POLICY),  # all of it ours
        plotly=Markup(get_plotlyjs()),
        script=Markup(_part("script.js")),
        data=Markup(json.dumps(data).replace("<", "\\u003c")),  # no name in it ends the script's element
        figures=figures.keys(),
        crops=crops,
        limit=None if limit is None else axis.said(limit),
        timed=[(heading, "number") for heading in report.latencies],
        refined=[("before refining", "number"), ("steps more", "number")] if refined else [],
        nearness=[("to its teacher dB", "number")] if report.by_teacher else [],
        sorted_by="FLOPs" if axis.key == "flops" else "PyTorch ms",
        facts=_facts(report),
        commands=_commands(report),
        recipes=_recipes(report),
        importances=_importances(report),
        enough=MIN_TRIALS,
        times=_times(report),
    )


def _part(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _shape(row: dict[str, Any]) -> str:
    """A network's counts as a text."""
    return shape(row["family"], row["config"])


def _facts(report: ReportData) -> dict[str, str]:
    """What was searched, and with what."""
    config, search = report.config, report.config.search
    teachers = (
        f"{name}: {teacher.psnr_y:.2f} dB, {format_count(teacher.flops)} FLOPs, "
        f"{format_count(teacher.params)} parameters"
        for name, teacher in report.teachers.items()
    )
    started = min((session.started for session in report.run.times), default=None)
    return {
        "Space": ", ".join(search.spaces),
        "Teacher": "; ".join(teachers),
        "Budget": str(search.budget),
        "Trained on": str(config.train),
        "Scored on": f"{config.valid} (validation images), where bicubic has {report.references.bicubic.psnr_y:.2f} dB",
        "Training": f"{search.recipe['steps']} steps, started by {search.init}",
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
    return f"{len(report.over)}{'' if wanted is None else f' of {wanted}'}: {said}{going_on}"


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


def _recipes(report: ReportData) -> dict[int, str]:
    """By trial, the fields of the recipe that are not the same for all students."""
    recipes = dict(zip(report.students["trial"].tolist(), report.students["recipe"].tolist(), strict=True))
    keys = list(dict.fromkeys(key for recipe in recipes.values() for key in recipe if key != "seed"))
    varied = [key for key in keys if len({repr(recipe.get(key)) for recipe in recipes.values()}) > 1]
    return {
        trial: " ".join(f"{key}={recipe[key]}" for key in varied if key in recipe) for trial, recipe in recipes.items()
    }


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
            stage = f"after {of_space.step} steps, {of_space.stopped} of them stopped early"
        tables.append(
            {"space": prefix, "students": f"{of_space.count} students {stage}", "shares": own, "unvaried": unvaried}
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
