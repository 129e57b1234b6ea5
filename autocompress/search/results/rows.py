"""The students of a run as rows, one dict each, and its front: read from the files of a run, so at any time.

Nothing here imports torch or pandas, so that a front is shown at once; `front` has the same as tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from autocompress.compute.runtimes import RUNTIMES
from autocompress.errors import InvalidInput, RunError
from autocompress.evaluation.intervals import Interval
from autocompress.evaluation.records import TO_TEACHER, Latency, Machine, score_of
from autocompress.search.pareto import Point, front
from autocompress.search.results.intervals import Intervals
from autocompress.search.results.left_out import gone_students, no_front
from autocompress.search.run.config import References
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.integrity import check_small_weights, sound_students
from autocompress.search.run.student import StoredStudent
from autocompress.search.space.budget import Budget
from autocompress.search.space.cost import LATENCY_MS, allows
from autocompress.units import decibels, format_count, format_milliseconds, quantity, signed_decibels

LATENCIES = {runtime.heading: runtime.column for runtime in RUNTIMES.values()}  # keys of a row by their titles
KEYS = (
    "trial",
    "family",
    "network",
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

Row = dict[str, Any]
Rows = Sequence[Row]


def student_rows(run: RunFolder) -> list[Row]:
    """Every finished student by its cost, with KEYS; `on_front` says which no other within the budget dominates.

    `network` is it in a few words. `flops_share` is of the teacher's FLOPs, of the best one where there are several;
    `gain_over_bicubic` and `loss_to_teacher` are in dB of PSNR-Y on the validation images, as is `to_pick`, the
    difference to the front's pick, with its interval `plus_minus` (see `results.intervals`). `refined_steps` is how
    many more a student has trained in refinement, `psnr_y_before` its score before that. `latency_ms`, with PyTorch,
    `latency_onnx_ms`, with ONNX Runtime, and `latency_on`, the machine, are those of students that were measured.
    What is not known is None. RunError as `sound_students`, and as `check_small_weights` of those on the front, which
    see.
    """
    config, measured = run.config, sound_students(run)
    machine = None if config.search.machine is None else Machine(**config.search.machine)
    found = [
        _row(stored, config.references) | _latency(stored, run.latency(stored.trial), machine) for stored in measured
    ]
    cost, limit = LATENCY_MS if objective(run) == "latency" else "flops", budget(run)
    found.sort(key=lambda row: (row[cost] is None, row[cost], row["trial"]))
    allowed = {row["trial"] for row in found if allows(limit, row)}  # another session may have had a larger budget
    points = [Point(student.trial, student.score, student.cost) for student in measured if student.trial in allowed]
    best = {point.trial for point in front(points)}
    check_small_weights([student for student in measured if student.trial in best])
    intervals = Intervals.of(run, measured) if best else None
    top = pick([row for row in found if row["trial"] in best]) if best else None
    for row in found:
        row["on_front"] = row["trial"] in best
        if top is not None and intervals is not None:
            interval = intervals.between(row["trial"], top["trial"])
            row["to_pick"] = score_of(row) - score_of(top)
            row["plus_minus"] = None if interval is None else interval.plus_minus
    return found


def front_rows(run: RunFolder) -> list[Row]:
    """The front of a run by what it costs; RunError where no trial has finished, or none within its budget."""
    inside = _within_budget(run)
    return [{key: row[key] for key in KEYS} for row in inside if row["on_front"]]


def has_front(run: RunFolder) -> bool:
    """Whether a trial within the run's budget has finished."""
    return any(row["on_front"] for row in student_rows(run))


def rows_within(run: RunFolder, limit: Budget) -> list[Row]:
    """The students of a run within its budget and this limit, by cost, dominated ones too.

    RunError as `front_rows`; InvalidInput where none of those within the budget is so small, or none was measured.
    """
    inside = _within_budget(run)
    latencies = [row[LATENCY_MS] for row in inside if row[LATENCY_MS] is not None]
    if limit.latency is not None and not latencies:
        raise InvalidInput(
            f"{run.path}: no student's latency is known, so none is within {limit}; "
            "`autocompress evaluate RUN --latency` measures those of the front"
        )
    small = [row for row in inside if allows(limit, row)]
    if not small:
        least = [
            f"{format_count(min(row['flops'] for row in inside))} FLOPs",
            f"{format_count(min(row['params'] for row in inside))} parameters",
        ]
        if limit.latency is not None:
            least.append(f"{format_milliseconds(min(latencies))} ms")
        raise InvalidInput(f"{run.path}: no student is within {limit}; the fewest are {', '.join(least)}")
    return small


def _within_budget(run: RunFolder) -> list[Row]:
    """The students within the run's budget, dominated ones too; RunError where there are none."""
    found, limit = student_rows(run), budget(run)
    if not found:
        raise no_front(run, gone_students(run))
    inside = [row for row in found if allows(limit, row)]
    if not inside:
        raise RunError(
            f"{run.path}: none of its {quantity(len(found), 'student')} is within {limit}, so there is no front; "
            "let the search go on with more --trials, or give it a larger budget with --extend"
        )
    return inside


def objective(run: RunFolder) -> str:
    """The objective of a run, against which PSNR is weighed: FLOPs or latency."""
    return run.config.search.objective


def budget(run: RunFolder) -> Budget:
    """The budget of a run's latest session."""
    return run.config.search.budget


def as_json(run: RunFolder, rows: Rows) -> dict[str, Any]:
    """The front with what it is compared with, as plain JSON types."""
    config = run.config
    return {
        "objective": objective(run),
        "budget": asdict(config.search.budget),
        "references": config.references.to_dict(),
        "pick": pick(rows)["trial"],
        "as_good": [row["trial"] for row in as_good(rows)],
        "intervals": Intervals.of(run, run.students()).to_dict(),
        "students": list(rows),
    }


def pick(rows: Rows) -> Row:
    """The student to take from a front: the best score. Everything on it is within the budget."""
    return max(rows, key=score_of)


def as_good(rows: Rows) -> list[Row]:
    """The other students of a front, which cost less, that cannot be told apart from its pick; the cheapest first."""
    best = pick(rows)["trial"]
    others = (row for row in rows if row["trial"] != best and row["plus_minus"] is not None)
    return [row for row in others if Interval(row["to_pick"], row["plus_minus"]).has_zero]


def note_of_pick(rows: Rows) -> str | None:
    """For people, which cheaper students of a front cannot be told apart from its pick; None where all can."""
    if not (equals := as_good(rows)):
        return None
    first, *more = equals
    cost = f"{format_count(first['flops'])} FLOPs"
    if first["latency_ms"] is not None:
        cost += f", {format_milliseconds(first['latency_ms'])} ms"
    others = "" if not more else f"; nor can {', '.join(str(row['trial']) for row in more)}"
    difference = format_difference(first["to_pick"], first["plus_minus"])
    return f"trial {first['trial']} ({first['network']}, {cost}) cannot be told apart from it: {difference} dB{others}"


def note_of_training(student: StoredStudent) -> str | None:
    """For people, where a student was better before its training than after it."""
    provenance, after = student.provenance, score_of(student.judged)
    before = provenance.psnr_y_before_training
    if before is None or before <= after or "steps" not in provenance.recipe:  # older files have neither
        return None
    steps = quantity(provenance.recipe["steps"], "step")
    return (
        f"trial {student.trial} had {decibels(before)} dB before its training, and has {decibels(after)} dB after "
        f"{steps}: search with more `--steps`"
    )


def format_difference(to_pick: float, plus_minus: float | None) -> str:
    """A difference in dB, as `-0.03 ± 0.05`; without an interval where there is none."""
    return signed_decibels(to_pick) if plus_minus is None else f"{signed_decibels(to_pick)} ± {decibels(plus_minus)}"


def _row(student: StoredStudent, references: References) -> Row:
    psnr_y = student.metrics["psnr_y"]
    return dict.fromkeys(KEYS) | {
        "trial": student.trial,
        "family": student.family,
        "network": student.shape,
        "psnr_y": psnr_y,
        TO_TEACHER: student.metrics.get(TO_TEACHER),
        "ssim_y": student.metrics["ssim_y"],
        "flops": student.flops,
        "params": student.params,
        "flops_share": student.flops / references.teacher.flops,
        "gain_over_bicubic": psnr_y - references.bicubic.psnr_y,
        "loss_to_teacher": references.teacher.psnr_y - psnr_y,
        "psnr_y_before": student.judged["psnr_y"] if student.refined_steps else None,
        "refined_steps": student.refined_steps,
        "config": student.config,
        "file": str(student.file),
    }


def _latency(student: StoredStudent, measured: Mapping[str, Latency], here: Machine | None) -> Row:
    """A student's latency, as the search measured it on the machine `here`, or else as it was measured last."""
    medians: dict[str, float | None] = {runtime: latency.median for runtime, latency in measured.items()}
    machines = {runtime: str(latency.machine) for runtime, latency in measured.items()}
    if here is not None:
        medians["pytorch"], machines["pytorch"] = student.latency_ms, str(here)
    return {
        **{declared.column: medians.get(name) for name, declared in RUNTIMES.items()},
        "latency_on": " and ".join(sorted(set(machines.values()))) or None,
    }
