"""Reading a run's own study without Optuna's storage."""

import sqlite3
from contextlib import closing

import pytest
from helpers.small_search import FinishedSearch, trials_of

from autocompress.search import RunFolder
from autocompress.search.run.study_file import Outline, outlines


def changed(run: RunFolder, *statements: str) -> None:
    with closing(sqlite3.connect(run.database)) as database, database:
        for statement in statements:
            database.execute(statement)


def test_it_is_what_optuna_reads(finished: FinishedSearch) -> None:
    read = outlines(finished[0])
    assert read is not None
    for ours, theirs in zip(read, trials_of(finished[0]), strict=True):
        assert ours == Outline.of(theirs)
    assert len(read) == 10


@pytest.mark.parametrize("statement", ["UPDATE alembic_version SET version_num = 'v9'", "DROP TABLE alembic_version"])
def test_what_is_of_another_version_is_left_to_optuna(copied: RunFolder, statement: str) -> None:
    changed(copied, statement)
    assert outlines(copied) is None


def test_a_study_of_another_name_has_none_of_its_trials(copied: RunFolder) -> None:
    changed(copied, "UPDATE studies SET study_name = 'other'")
    assert outlines(copied) == []


def test_a_file_that_is_no_database(copied: RunFolder) -> None:
    copied.database.write_bytes(b"nothing of the kind" * 100)
    assert outlines(copied) is None
    copied.database.unlink()
    assert outlines(copied) is None
