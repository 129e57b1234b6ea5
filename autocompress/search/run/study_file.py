"""The trials of a run's own study.db, read by SQLite alone, so that `status` answers at once.

Optuna takes as long to import as all else that `status` does, and its storage, with SQLAlchemy and Alembic, longer.
What is read here is only what a status says; where the tables are of another version than VERSION, Optuna has to read
them.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from autocompress.search.run.folder import RunFolder

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

COMPLETE = "COMPLETE"  # the state of a finished trial, as Optuna names it
VERSION = "v3.2.0.a"  # of Optuna's tables, as Alembic names it
STUDY_NAME = "autocompress"  # of a run that does not record it, as those of the first versions

_OF_STUDY = "JOIN studies USING (study_id) WHERE study_name = ?"
TRIALS = f"SELECT trial_id, number, state FROM trials {_OF_STUDY} ORDER BY number"
ATTRIBUTES = f"SELECT trial_id, key, value_json FROM trial_user_attributes JOIN trials USING (trial_id) {_OF_STUDY}"
VALUES = f"SELECT trial_id, value FROM trial_values JOIN trials USING (trial_id) {_OF_STUDY} ORDER BY objective"


@dataclass(frozen=True)
class Outline:
    """What a status says of one trial; `state` is the name of Optuna's TrialState."""

    number: int
    state: str
    values: list[float]  # of its objectives; none before its end
    user_attrs: dict[str, Any]

    @classmethod
    def of(cls, trial: FrozenTrial) -> Outline:
        """That of a trial that Optuna has read."""
        return cls(trial.number, trial.state.name, trial.values or [], trial.user_attrs)


def outlines(run: RunFolder) -> list[Outline] | None:
    """The trials of a run's own study, in their order.

    None where somebody else has to read the study: in another storage, of another version, or not readable so.
    """
    storage = run.config.storage or {"url": None, "study": STUDY_NAME}
    if storage["url"] is not None or not run.database.is_file():
        return None
    uri = f"file:{quote(os.fsencode(run.database.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as database:
            return _read(database, str(storage["study"]))
    except (sqlite3.Error, ValueError, KeyError, TypeError):
        return None


def _read(database: sqlite3.Connection, study: str) -> list[Outline] | None:
    if database.execute("SELECT version_num FROM alembic_version").fetchall() != [(VERSION,)]:
        return None
    attributes: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial, key, value in database.execute(ATTRIBUTES, [study]):
        attributes[trial][key] = json.loads(value)
    values: dict[int, list[float]] = defaultdict(list)
    for trial, value in database.execute(VALUES, [study]):
        values[trial].append(float(value))
    return [
        Outline(number, state, values[trial], attributes[trial])
        for trial, number, state in database.execute(TRIALS, [study])
    ]
