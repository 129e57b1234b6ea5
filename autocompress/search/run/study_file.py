"""The trials of a study in a file of SQLite, mostly a run's own study.db, read so that `status` answers at once.

Optuna takes as long to import as all else that `status` does, and its storage, with SQLAlchemy and Alembic, longer.
What is read here is only what a status says; where the tables are of another version than VERSION, Optuna has to read
them.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from autocompress.errors import cut
from autocompress.io.typed import reading
from autocompress.search.run.folder import RunFolder

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

COMPLETE = "COMPLETE"  # the state of a finished trial, as Optuna names it
SQLITE = "sqlite:///"  # how the URL of a file begins
VERSION = "v3.2.0.a"  # of Optuna's tables, as Alembic names it
STUDY_NAME = "autocompress"  # of a run that does not record it, as those of the first versions
# of Optuna's tables, of Alembic's, and of those that SQLite makes by itself
TABLE = re.compile(r"(alembic_version|version_info|stud(y_|ies)\w*|trials?(_\w+)?|sqlite_\w+)\Z")
COMPUTED = re.compile(r"\b(AS|VIRTUAL)\b", re.IGNORECASE)  # in how a table was made: its columns, or all of it

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


@contextmanager
def reading_study(run: RunFolder) -> Iterator[None]:
    """A context in which trials are read out of a run's study: RunError where it holds what no search stores."""
    remedy = "restore it, or rename a study.db, and the search's own command makes it again from the students"
    with reading(run.path, "its study holds what no search stores", remedy), naming_what_is_wrong():
        yield


@contextmanager
def naming_what_is_wrong() -> Iterator[None]:
    """A context in which all that reading a study of any content raises is a ValueError, or one of MALFORMED."""
    try:
        yield
    except (LookupError, AssertionError, RecursionError) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def check_tables(file: Path, shared: bool) -> None:
    """ValueError where Optuna's tables in a file are others than it makes, or have rows that belong to no other.

    What a view, a trigger or a computed column gives can be without end. A file that is not `shared`, the run's own,
    has no other tables: another program's database, as behind a link, is not to be written to. Nothing is said of a
    file that is no database.
    """
    with suppress(sqlite3.Error), closing(sqlite3.connect(_read_only(file), uri=True)) as database:
        for kind, name, table, made_by in database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"):
            ours = TABLE.match(table)
            if not (ours or shared) or (ours and (kind not in ("table", "index") or COMPUTED.search(made_by or ""))):
                raise ValueError(f"it has a {kind} that is not Optuna's, {cut(str(name))}")
        if shared:
            return
        for table, *_ in database.execute("PRAGMA foreign_key_check"):
            raise ValueError(f"it has rows in {table} of a trial or a study that is not there")
        if len(database.execute("SELECT version_num FROM alembic_version").fetchall()) > 1:
            raise ValueError("it has the tables of two versions of Optuna")


def sqlite_file(run: RunFolder, url: str | None) -> Path | None:
    """The file of SQLite that a study is in: by the URL of its storage, or the run's own; None for a server."""
    if url is None:
        return run.database
    return Path(unquote(url.removeprefix(SQLITE).partition("?")[0])) if url.startswith(SQLITE) else None


def is_another_database(file: Path) -> bool:
    """Whether a file is a database of SQLite without a study in it, to which nothing is to be written by a reader."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(_read_only(file), uri=True)) as database:
        return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'studies'").fetchone() is None
    return False


def outlines(run: RunFolder) -> list[Outline] | None:
    """The trials of a run's study, in their order; RunError as `reading_study`.

    None where somebody else has to read the study: on a server, of another version, or not readable so.
    """
    storage = run.config.storage or {"url": None, "study": STUDY_NAME}
    url = storage["url"]
    file = sqlite_file(run, url)
    if file is None or not file.is_file():
        return None
    with reading_study(run):
        check_tables(file, shared=url is not None)
    try:
        with closing(sqlite3.connect(_read_only(file), uri=True)) as database:
            return _read(database, str(storage["study"]))
    except (sqlite3.Error, ValueError, KeyError, TypeError, RecursionError):
        return None


def _read_only(file: Path) -> str:
    """A database as SQLite opens it without writing."""
    return f"file:{quote(os.fsencode(file.absolute()))}?mode=ro"


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
