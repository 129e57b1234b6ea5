"""The front of a run: from the students that it wrote, so it can be read at any time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from autocompress.compute.runtimes import RUNTIMES
from autocompress.errors import InvalidInput, RunError
from autocompress.evaluation.intervals import Interval
from autocompress.evaluation.latency import Latency, Machine
from autocompress.evaluation.scores import TO_TEACHER, score_of
from autocompress.io import checkpoints
from autocompress.names import as_cell
from autocompress.networks import shape
from autocompress.search.pareto import Point, front
from autocompress.search.results.intervals import Intervals
from autocompress.search.run.config import References
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.student import StoredStudent
from autocompress.search.space.budget import Budget
from autocompress.search.space.cost import LATENCY_MS
from autocompress.units import decibels, format_count, format_milliseconds, signed_decibels

CSV, JSON = "pareto.csv", "pareto.json"
LATENCIES = {runtime.heading: runtime.column for runtime in RUNTIMES.values()}  # columns of a front by their titles
COLUMNS = (
    "trial",
    "family",
    "psnr_y",
    TO_TEACHER,
    "ssim_y",
    "flops",
    "params",
    "flops_share",
    "gain_over_bicubic",
    "loss_to_teacher",
    "to_pick",
    "plus_minus",
    "psnr_y_before",
    "refined_steps",
    *LATENCIES.values(),
    "latency_on",
    "config",
    "file",
)
KINDS = {"file": object}  # a path need not be UTF-8, as pandas' strings must


def students(run: RunFolder) -> pd.DataFrame:
    """Every finished student by its cost; `on_front` says which no other within the budget dominates.

    `flops_share` is of the teacher's FLOPs, of the best one where there are several; `gain_over_bicubic` and
    `loss_to_teacher` are in dB of PSNR-Y on the validation images, as is `to_pick`, the difference to the front's pick,
    with its interval `plus_minus` (see `results.intervals`; missing where there is none). `refined_steps` is how many
    more a student has trained in refinement, `psnr_y_before` its score before that. `latency_ms`, with PyTorch,
    `latency_onnx_ms`, with ONNX Runtime, and `latency_on`, the machine, are missing where nobody has measured them.
    """
    config, measured = run.config, run.students()
    machine = None if config.search.machine is None else Machine(**config.search.machine)
    table_rows = [
        _row(stored, config.references) | _latency(stored, run.latency(stored.trial), machine) for stored in measured
    ]
    by_cost = [LATENCY_MS if objective(run) == "latency" else "flops", "trial"]
    columns = {
        name: pd.Series([row.get(name, math.nan) for row in table_rows], dtype=KINDS.get(name)) for name in COLUMNS
    }
    table = pd.DataFrame(columns).sort_values(by_cost, ignore_index=True)
    points = [Point(student.trial, student.score, student.cost) for student in measured]
    limit = budget(run)  # another session of the run may have had a larger budget
    allowed = {row["trial"] for row in table_rows if allows(limit, row)}
    best = {point.trial for point in front([point for point in points if point.trial in allowed])}
    table["on_front"] = table["trial"].isin(best)
    return table if not best else _with_intervals(table, Intervals.of(run, measured))


def _with_intervals(table: pd.DataFrame, intervals: Intervals) -> pd.DataFrame:
    """The students with their differences to the pick of their front."""
    best = pick(table[table["on_front"]])
    found = [intervals.between(trial, best["trial"]) for trial in table["trial"]]
    table["to_pick"] = scores(table) - score_of(best)
    table["plus_minus"] = [math.nan if one is None else one.plus_minus for one in found]
    return table


def scores(table: pd.DataFrame) -> pd.Series[float]:
    """What students are chosen by, in dB; see `score_of`."""
    return table[TO_TEACHER].fillna(table["psnr_y"])


def objective(run: RunFolder) -> str:
    """The objective of a run, against which PSNR is weighed: FLOPs or latency."""
    return run.config.search.objective


def budget(run: RunFolder) -> Budget:
    """The budget of a run's latest session."""
    return run.config.search.budget


def allows(limit: Budget, costs: Mapping[str, Any]) -> bool:
    """Whether a student's row, or its trial's attributes, are within a budget."""
    return limit.allows(costs["flops"], costs["params"], costs.get(LATENCY_MS))


def pareto(run: RunFolder) -> pd.DataFrame:
    """The front of a run by what it costs; RunError where no trial has finished, or none within its budget."""
    table = _within_budget(run)
    return table[table["on_front"]].drop(columns="on_front").reset_index(drop=True)


def has_front(run: RunFolder) -> bool:
    """Whether a trial within the run's budget has finished."""
    return bool(students(run)["on_front"].any())


def _within_budget(run: RunFolder) -> pd.DataFrame:
    """The students within the run's budget, dominated ones too; RunError where there are none."""
    table, limit = students(run), budget(run)
    if table.empty:
        raise RunError(f"{run.path}: no trial has finished yet, so there is no front; let the search run on")
    inside = [allows(limit, row) for row in rows(table)]
    if not any(inside):
        raise RunError(
            f"{run.path}: none of its {len(table)} students is within {limit}, so there is no front; "
            "let the search go on with more --trials, or give it a larger budget with --extend"
        )
    return table[inside].reset_index(drop=True)


def within(run: RunFolder, limit: Budget) -> pd.DataFrame:
    """The students of a run within its budget and this limit, by cost, dominated ones too.

    RunError as `pareto`; InvalidInput where none of those within the budget is so small, or none was measured.
    """
    table = _within_budget(run)
    if limit.latency is not None and table[LATENCY_MS].isna().all():
        raise InvalidInput(
            f"{run.path}: no student's latency is known, so none is within {limit}; "
            "`autocompress evaluate RUN --latency` measures those of the front"
        )
    small = [allows(limit, row) for row in rows(table)]
    if not any(small):
        least = [f"{format_count(table['flops'].min())} FLOPs", f"{format_count(table['params'].min())} parameters"]
        if limit.latency is not None:
            least.append(f"{format_milliseconds(table[LATENCY_MS].min())} ms")
        raise InvalidInput(f"{run.path}: no student is within {limit}; the fewest are {', '.join(least)}")
    return table[small].reset_index(drop=True)


def write_pareto(run: RunFolder) -> pd.DataFrame:
    """Write pareto.csv and pareto.json, and return the front; raises as `pareto`."""
    table = pareto(run)
    checkpoints.write_text(run.path / CSV, table.drop(columns=["config"]).map(as_cell).to_csv(index=False))
    checkpoints.write_json(run.path / JSON, as_json(run, table))
    return table


def remove_pareto(run: RunFolder) -> None:
    """Remove the files of a front that an earlier session, with a larger budget, has written; there is none now."""
    for name in (CSV, JSON):
        (run.path / name).unlink(missing_ok=True)


def as_json(run: RunFolder, table: pd.DataFrame) -> dict[str, Any]:
    """The front with what it is compared with, as plain JSON types."""
    config = run.config
    return {
        "objective": objective(run),
        "budget": asdict(config.search.budget),
        "references": config.references.to_dict(),
        "pick": pick(table)["trial"],
        "as_good": [row["trial"] for row in as_good(table)],
        "intervals": Intervals.of(run, run.students()).to_dict(),
        "students": rows(table),
    }


def pick(table: pd.DataFrame) -> dict[str, Any]:
    """The student to take from a front: the best score. Everything on it is within the budget."""
    return max(rows(table), key=score_of)


def as_good(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The other students of a front, which cost less, that cannot be told apart from its pick; the cheapest first."""
    best = pick(table)["trial"]
    others = (row for row in rows(table) if row["trial"] != best and row["plus_minus"] is not None)
    return [row for row in others if Interval(row["to_pick"], row["plus_minus"]).has_zero]


def note_of_pick(table: pd.DataFrame) -> str | None:
    """For people, which cheaper students of a front cannot be told apart from its pick; None where all can."""
    if not (equals := as_good(table)):
        return None
    first, *more = equals
    cost = f"{format_count(first['flops'])} FLOPs"
    if first["latency_ms"] is not None:
        cost += f", {format_milliseconds(first['latency_ms'])} ms"
    network = shape(first["family"], first["config"])
    others = "" if not more else f"; nor can {', '.join(str(row['trial']) for row in more)}"
    difference = format_difference(first["to_pick"], first["plus_minus"])
    return f"trial {first['trial']} ({network}, {cost}) cannot be told apart from it: {difference} dB{others}"


def format_difference(to_pick: float, plus_minus: float | None) -> str:
    """A difference in dB, as `-0.03 ± 0.05`; without an interval where there is none."""
    difference = signed_decibels(to_pick)
    return difference if plus_minus is None else f"{difference} ± {decibels(plus_minus)}"


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table of students as dicts, with None where something is missing."""
    return [
        {str(key): None if _is_missing(value) else value for key, value in row.items()}
        for row in table.to_dict(orient="records")
    ]


def _is_missing(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _row(student: StoredStudent, references: References) -> dict[str, Any]:
    psnr_y = student.metrics["psnr_y"]
    return {
        "trial": student.trial,
        "family": student.family,
        "psnr_y": psnr_y,
        TO_TEACHER: student.metrics.get(TO_TEACHER, math.nan),
        "ssim_y": student.metrics["ssim_y"],
        "flops": student.flops,
        "params": student.params,
        "flops_share": student.flops / references.teacher.flops,
        "gain_over_bicubic": psnr_y - references.bicubic.psnr_y,
        "loss_to_teacher": references.teacher.psnr_y - psnr_y,
        "psnr_y_before": student.judged["psnr_y"] if student.refined_steps else math.nan,
        "refined_steps": student.refined_steps,
        "config": student.config,
        "file": str(student.file),
    }


def _latency(student: StoredStudent, measured: Mapping[str, Latency], here: Machine | None) -> dict[str, Any]:
    """A student's latency, as the search measured it on the machine `here`, or else as it was measured last."""
    medians: dict[str, float | None] = {runtime: latency.median for runtime, latency in measured.items()}
    machines = {runtime: str(latency.machine) for runtime, latency in measured.items()}
    if here is not None:
        medians["pytorch"], machines["pytorch"] = student.latency_ms, str(here)
    return {
        **{declared.column: medians.get(name) for name, declared in RUNTIMES.items()},
        "latency_on": " and ".join(sorted(set(machines.values()))) or None,
    }
