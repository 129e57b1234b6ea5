"""The columns of a table of students: what they are called, and how their values are written. Views lay them out.

They are the same, in the same order and with the same signs, on a terminal, in a notebook, in an export and in the
report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autocompress.evaluation.records import TO_TEACHER
from autocompress.search.results.rows import LATENCIES, Rows, format_difference
from autocompress.search.run.config import RunConfig
from autocompress.units import decibels, format_count, format_milliseconds, signed_decibels

# a student's, see `results.rows`, or one of `reference_rows`; None, or nothing, where it has no value
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column: its heading, what it shows of a row, and the number that it sorts by; None where its text sorts."""

    heading: str
    text: Callable[[Row], str]
    number: Callable[[Row], float | None] | None = None


def _numbers(heading: str, value: Callable[[Row], float | None], form: Callable[[Any], str]) -> Column:
    def text(row: Row) -> str:
        number = value(row)
        return "" if number is None else form(number)

    return Column(heading, text, value)


def _of(key: str) -> Callable[[Row], float | None]:
    return lambda row: row.get(key)


def _network(row: Row) -> str:
    return str(row["network"])


def _below_teacher(row: Row) -> float | None:
    return None if row.get("loss_to_teacher") is None else -row["loss_to_teacher"]


def _to_pick(row: Row) -> str:
    is_pick_or_reference = not row.get("to_pick") and row.get("plus_minus") is None
    return "" if is_pick_or_reference else format_difference(row["to_pick"], row["plus_minus"])


def _by_refining(row: Row) -> float | None:
    return None if row.get("psnr_y_before") is None else row["psnr_y"] - row["psnr_y_before"]


def _more_steps(row: Row) -> float | None:
    return row.get("refined_steps") or None


NETWORK = (
    Column("student", _network),
    _numbers("PSNR-Y dB", _of("psnr_y"), decibels),
    _numbers("SSIM-Y", _of("ssim_y"), "{:.4f}".format),
    _numbers("FLOPs", _of("flops"), format_count),
    _numbers("params", _of("params"), format_count),
    _numbers("of teacher", _of("flops_share"), "{:.1%}".format),
)
COMPARED = (
    _numbers("over bicubic", _of("gain_over_bicubic"), signed_decibels),
    _numbers("under teacher", _below_teacher, decibels),
    Column("to the pick", _to_pick, _of("to_pick")),
)
NEARNESS = _numbers("to its teacher dB", _of(TO_TEACHER), decibels)
REFINED = (
    _numbers("before refining", _of("psnr_y_before"), decibels),
    _numbers("by refining", _by_refining, signed_decibels),
    _numbers("steps more", _more_steps, str),
)


def columns_of(rows: Rows, config: RunConfig) -> list[Column]:
    """The columns that a table of a run's students has, after the number of the trial."""
    timed = [
        _numbers(heading, _of(key), format_milliseconds)
        for heading, key in LATENCIES.items()
        if any(row[key] is not None for row in rows)
    ]
    compared = [column for column in COMPARED if not (config.has_no_truth and column.heading == "under teacher")]
    nearness = [NEARNESS] if config.search.by_teacher and not config.has_no_truth else []
    refined = REFINED if any(row["refined_steps"] for row in rows) else ()
    return [*NETWORK, *compared, *timed, *nearness, *refined]


def reference_rows(config: RunConfig) -> tuple[Row, Row]:
    """What a table of students begins and ends with: bicubic, and the (best) teacher."""
    bicubic, teacher = config.references.bicubic, config.references.teacher
    best = {"network": f"teacher {config.teacher.shape}", "flops_share": 1.0}
    best["gain_over_bicubic"] = teacher.psnr_y - bicubic.psnr_y
    costs_and_scores = {key: value for key, value in teacher.to_dict().items() if key != TO_TEACHER}
    return {"network": "bicubic", **bicubic.to_dict()}, costs_and_scores | best
