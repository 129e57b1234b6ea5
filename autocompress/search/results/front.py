"""The students of a run, and its front, as tables for notebooks, reports and spreadsheets; see `rows`."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from autocompress.evaluation.records import TO_TEACHER
from autocompress.io import atomic
from autocompress.names import as_cell
from autocompress.search.results.rows import KEYS, Rows, as_json, front_rows, student_rows
from autocompress.search.run.folder import RunFolder

CSV, JSON = "pareto.csv", "pareto.json"
KINDS = {"file": object}  # a path need not be UTF-8, as pandas' strings must


def students(run: RunFolder) -> pd.DataFrame:
    """Every finished student by its cost, with the keys of `student_rows` as columns."""
    return _table(student_rows(run), (*KEYS, "on_front"))


def pareto(run: RunFolder) -> pd.DataFrame:
    """The front of a run by what it costs; RunError where no trial has finished, or none within its budget."""
    return _table(front_rows(run), KEYS)


def _table(rows: Rows, columns: tuple[str, ...]) -> pd.DataFrame:
    """Rows as a table, with NaN where something is not known."""
    return pd.DataFrame(
        {
            name: pd.Series([math.nan if row[name] is None else row[name] for row in rows], dtype=KINDS.get(name))
            for name in columns
        }
    )


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table of students as dicts, with None where something is missing."""
    return [
        {str(key): None if _is_missing(value) else value for key, value in row.items()}
        for row in table.to_dict(orient="records")
    ]


def _is_missing(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def scores(table: pd.DataFrame) -> pd.Series[float]:
    """What students are chosen by, in dB; see `score_of`."""
    return table[TO_TEACHER].fillna(table["psnr_y"])


def write_pareto(run: RunFolder) -> pd.DataFrame:
    """Write pareto.csv and pareto.json, and return the front; raises as `pareto`."""
    table = pareto(run)
    atomic.write_text(run.path / CSV, table.drop(columns=["config"]).map(as_cell).to_csv(index=False))
    atomic.write_json(run.path / JSON, as_json(run, front_rows(run)))
    return table


def remove_pareto(run: RunFolder) -> None:
    """Remove the files of a front that an earlier session, with a larger budget, has written; there is none now."""
    for name in (CSV, JSON):
        (run.path / name).unlink(missing_ok=True)
