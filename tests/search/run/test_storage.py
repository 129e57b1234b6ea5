"""Studies in other storages: files, PostgreSQL, MariaDB and Redis, servers that die, and what is refused."""

import json
import sqlite3
import sys
import time
import tomllib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from helpers import fake_trials
from helpers.fake_trials import FakeSetup
from helpers.programs import check_whole, finish, start, trials_in
from helpers.servers import Server, mariadb, postgresql, redis
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import OperationalError, PendingRollbackError

from autocompress.errors import InvalidInput, RunError, StorageError
from autocompress.report import ReportData
from autocompress.search import RunFolder, Settings
from autocompress.search.results.status import status
from autocompress.search.run.storage import StudyStorage, check_storage, find_storage, masked

__all__ = ["mariadb", "postgresql", "redis"]  # fixtures

Make = Callable[..., Settings]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "redis"])
def test_a_search_on_a_server_that_is_killed_goes_on(small: Make, kind: str, request: pytest.FixtureRequest) -> None:
    """The study is on a server; no password is written; the server dies in the middle and comes back."""
    server: Server = request.getfixturevalue(kind)
    wanted = small(storage=server.url, trials=10)
    run = RunFolder(wanted.folder)
    program = start(wanted, FakeSetup(seconds=0.6))
    while len(list(run.path.glob("trials/*/log.txt"))) < 3 and program.poll() is None:
        time.sleep(0.05)
    server.kill()
    _, errors = program.communicate(timeout=60)
    assert program.returncode == 1, errors
    assert errors.count("\n") == 1
    assert "cannot be read or written any more" in errors
    assert "the same command goes on" in errors
    refused = start(wanted, FakeSetup())
    _, errors = refused.communicate(timeout=60)
    assert (refused.returncode, errors.count("\n")) == (2, 1)
    assert "secret" not in errors
    server.start()
    assert finish(start(wanted, FakeSetup())) == "all 10 trials are done"
    check_whole(run, trials_in(run, server.url), 10)
    assert not run.database.exists()
    assert "secret" not in (run.path / "config.json").read_text()
    assert run.config.storage["study"].startswith("run-")
    with pytest.raises(RunError, match="give --storage with the password again"):
        fake_trials.run(small(trials=10), FakeSetup())


def test_a_server_that_goes_away_while_it_is_opened_leaves_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[RDBStorage] = []
    version = RDBStorage.get_current_version

    def gone(storage: RDBStorage) -> str:
        opened.append(storage)
        assert version(storage)  # by a connection that the pool keeps
        raise StorageInternalError("gone")

    monkeypatch.setattr(RDBStorage, "get_current_version", gone)
    with pytest.raises(InvalidInput, match="cannot be used"):
        StudyStorage(f"sqlite:///{tmp_path / 'a.db'}", "study").open(RunFolder(tmp_path))
    (storage,) = opened
    assert storage.engine.pool.checkedin() == storage.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_several_searches_share_a_file(small: Make, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'all.db'}"
    for name in ("one", "two"):
        wanted = small(storage=url, trials=2, out=tmp_path / name)
        assert fake_trials.run(wanted, FakeSetup(), here=True).reason == "all 2 trials are done"
        assert not (tmp_path / name / "study.db").exists()
        check_whole(RunFolder(wanted.folder), trials_in(RunFolder(wanted.folder)), 2)
    # without a password in it, the URL need not be given again
    assert (
        fake_trials.run(small(trials=3, out=tmp_path / "one"), FakeSetup(), here=True).reason == "all 3 trials are done"
    )
    other = small(trials=3, out=tmp_path / "one", storage=f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(RunError, match=r"its study is in .*all\.db, not in .*other\.db; give --storage"):
        fake_trials.run(other, FakeSetup(), here=True)
    assert not (tmp_path / "other.db").exists()


def test_a_run_does_not_move_to_a_storage(small: Make, tmp_path: Path) -> None:
    fake_trials.run(small(trials=1), FakeSetup(), here=True)
    with pytest.raises(RunError, match=r"its own study\.db, not in .*; leave --storage out"):
        fake_trials.run(small(trials=2, storage=f"sqlite:///{tmp_path / 'all.db'}"), FakeSetup(), here=True)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "--storage is no URL"),
        ("sqlite:///:memory:", "keeps nothing"),
        ("sqlite:////nowhere/at/all.db", "check that its folder is there"),
        ("magic://host/db", "give a URL that begins with sqlite:///, postgresql://"),
        ("postgresql://me:secret@127.0.0.1:1/db?password=secret", "me:***@127.0.0.1:1/db"),
        ("redis://:secret@127.0.0.1:1", "redis://:***@127.0.0.1:1"),
        ("redis://127.0.0.1?password=secret@host", "has an @ behind its ?; write one of a user, a password or a query"),
    ],
)
def test_what_cannot_be_reached_is_refused(small: Make, url: str, said: str) -> None:
    wanted = small(storage=url)
    with pytest.raises(InvalidInput) as caught:
        fake_trials.run(wanted, FakeSetup(), here=True)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not wanted.folder.exists()


@pytest.mark.parametrize(
    "url", ["postgresql://me@host/db", "mysql+pymysql://host/db", "redis://host", "sqlite:///a.db"]
)
def test_kinds_of_storage_are_checked_before_any_is_reached(url: str) -> None:
    check_storage(url)
    with pytest.raises(InvalidInput, match=r"magic://me:\*\*\*@host/db cannot be used .*; give a URL that begins with"):
        check_storage("magic://me:secret@host/db")


def test_a_server_that_does_not_answer_is_named_with_what_to_look_at(small: Make) -> None:
    pytest.importorskip("redis")
    with pytest.raises(InvalidInput, match="check its address, user and password, and that it is running"):
        fake_trials.run(small(storage="redis://127.0.0.1:1"), FakeSetup(), here=True)


@pytest.mark.parametrize(
    ("url", "driver", "remedy"),
    [
        ("postgresql://me@host/db", "psycopg", "pip install 'autocompress[storage]' has those"),
        ("postgresql+psycopg2://me@host/db", "psycopg2", "write postgresql:// for its beginning"),
        ("mysql://me@host/db", "MySQLdb", "write mysql+pymysql:// for its beginning, and pip install PyMySQL"),
        ("mysql+pymysql://me@host/db", "pymysql", "pip install PyMySQL does it"),
        ("oracle://me@host/db", "oracledb", "install oracledb with pip"),
    ],
)
def test_a_missing_driver_is_named_as_pip_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, driver: str, remedy: str
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(InvalidInput) as caught:
        StudyStorage(url, "study").open(RunFolder(tmp_path))
    assert "that is not installed" in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("version", "remedy", "own"),
    [
        ("v9.9.0.a", "pip install -U optuna", True),
        ("v2.6.0.a", "optuna storage upgrade --storage", False),
        pytest.param("v9.9.0.a", "pip install -U optuna", False, marks=pytest.mark.slow),
        pytest.param("v2.6.0.a", "optuna storage upgrade --storage", True, marks=pytest.mark.slow),
    ],
)
def test_the_tables_of_another_optuna(small: Make, tmp_path: Path, version: str, remedy: str, own: bool) -> None:
    file = tmp_path / ("run/study.db" if own else "all.db")
    wanted = small(trials=1, storage=None if own else f"sqlite:///{file}")
    fake_trials.run(wanted, FakeSetup(), here=True)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", (version,))
    run = RunFolder(wanted.folder)
    for read in (lambda: fake_trials.run(wanted, FakeSetup(), here=True), lambda: status(run)):
        with pytest.raises(RunError) as caught:
            read()
        assert f"Optuna ({version}; the installed one has v" in str(caught.value)
        assert remedy in str(caught.value)
    assert version in str(ReportData.of(run).without_study)


@pytest.mark.parametrize(("package", "url"), [("psycopg", "postgresql://host/db"), ("redis", "redis://host:1")])
def test_a_missing_package_is_named(small: Make, package: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if package == "psycopg":
        monkeypatch.setitem(sys.modules, "psycopg", None)
    else:
        from optuna.storages.journal import _redis

        broken = ImportError("redis is missing")
        monkeypatch.setattr(_redis._imports, "_deferred", (broken, "redis is missing"))
    with pytest.raises(InvalidInput, match=r"pip install 'autocompress\[storage\]'"):
        fake_trials.run(small(storage=url), FakeSetup(), here=True)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:SECRET@host/db",
        "postgresql://me:SEC%2FRET@host/db",
        "postgresql://host/db?password=SECRET",
        "postgresql://host/db?sslpassword=SECRET&sslmode=require",
        "postgresql://host/db?options=-c%20password%3DSECRET",
        "mysql+pymysql://host/db?ssl_password=SECRET",
        "postgresql://host/db?passfile=SECRET",
        "postgresql://host/db?Password=SECRET&Password=SECRET2",
        "redis://:SECRET@host:1/0",
        "redis://host:1/0?password=SECRET",
        "rediss://host:1/0?ssl_password=SECRET",
        "sqlite:////data/all.db?key=SECRET",
    ],
)
def test_secrets_are_hidden_wherever_they_stand(url: str) -> None:
    shown = masked(url)
    assert "SEC" not in shown
    assert "***" in shown
    assert masked(shown) == shown  # as config.json has it, it is compared with what is given


def test_secrets_are_hidden_in_what_drivers_say() -> None:
    storage = StudyStorage("postgresql://me:SE%2FCRET@host/db?options=-c%20password%3DHIDDEN&sslmode=require", "study")
    said = storage._reason(ValueError("no host for me, SE/CRET, SE%2FCRET, -c password=HIDDEN, require\nmore"))
    assert said == "no host for me, ***, ***, ***, require"


def test_a_connection_that_fails_again_is_told_by_its_first_failure() -> None:
    storage = StudyStorage("postgresql://me@host/db", "study")
    again = PendingRollbackError("please rollback() fully")
    again.__context__ = OperationalError("SELECT 1", {}, Exception("the server is gone"))
    with pytest.raises(StorageError, match=r"written any more \(the server is gone\)"), storage.errors_explained():
        raise again


def test_what_is_no_secret_is_shown() -> None:
    assert json.dumps(masked("mysql://me@host/db?charset=utf8")) == '"mysql://me@host/db?charset=utf8"'


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:SEC@RET@host/db",
        "redis://host:SECRET/0",
        "SECRET",
        "postgresql://me:SE:C@RET@h:1",
        "mysql://me:S@EC?RET@h",
    ],
)
def test_what_cannot_be_parsed_is_not_repeated(small: Make, url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        fake_trials.run(small(storage=url), FakeSetup(), here=True)
    assert "EC" not in str(caught.value)
    assert "RET" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "query", ["password=SECRET", "mode=ro", "check_same_thread=0&nonsense=1", "mode=memory&uri=true"]
)
def test_what_sqlite_would_ignore_is_refused(small: Make, tmp_path: Path, query: str) -> None:
    with pytest.raises(InvalidInput, match=r"SQLite would ignore, .* leave out what follows the \?") as caught:
        fake_trials.run(small(storage=f"sqlite:///{tmp_path}/all.db?{query}"), FakeSetup(), here=True)
    assert "SECRET" not in str(caught.value)
    assert not (tmp_path / "all.db").exists()


def test_a_run_that_was_begun_with_what_sqlite_ignores_goes_on(small: Make, tmp_path: Path) -> None:
    wanted = small(storage=f"sqlite:///{tmp_path}/all.db", trials=1)
    fake_trials.run(wanted, FakeSetup(), here=True)
    run = RunFolder(wanted.folder)
    content = json.loads((run.path / "config.json").read_text())
    content["storage"]["url"] += "?password=***"
    (run.path / "config.json").write_text(json.dumps(content))
    storage = find_storage(f"sqlite:///{tmp_path}/all.db?password=SECRET", run)
    with storage.errors_explained():  # warnings are errors here
        assert storage.open(run).get_all_studies()


def test_postgresql_means_the_driver_that_is_installed(small: Make) -> None:
    """Of SQLAlchemy 2.0 and 2.1, which take it for different ones, and of the extra."""
    with pytest.raises(InvalidInput, match=r"psycopg'|connection") as caught:
        fake_trials.run(small(storage="postgresql://me@127.0.0.1:1/db"), FakeSetup(), here=True)
    assert "psycopg2" not in str(caught.value)
    extras = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert any(one.startswith("psycopg[binary]") for one in extras["optional-dependencies"]["storage"])


THEIRS = {
    "studies": "CREATE TABLE studies (id INTEGER PRIMARY KEY, title TEXT)",
    "trials": "CREATE TABLE trials (trial_id INTEGER PRIMARY KEY, title VARCHAR(9))",
    "version_info": "CREATE VIEW version_info AS SELECT 1 AS version_info_id",
    "alembic_version": "CREATE TABLE alembic_version (version_num VARCHAR(32))",
}


@pytest.mark.parametrize("table", [*THEIRS, "Studies"])
def test_tables_of_another_application_stay_as_they_are(small: Make, tmp_path: Path, table: str) -> None:
    """Optuna would make its own beside them, and fail then."""
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as database:
        database.execute(THEIRS[table.lower()].replace(table.lower(), table))
        if table == "alembic_version":
            database.execute("INSERT INTO alembic_version VALUES ('1a2b3c')")
            database.commit()
    before = (tmp_path / "theirs.db").read_bytes()
    said = rf"a table {table} of another application.*; give another database|a view that is not Optuna's, {table}"
    with pytest.raises(RunError, match=said):
        fake_trials.run(small(storage=f"sqlite:///{tmp_path / 'theirs.db'}", trials=1), FakeSetup())
    assert [file.name for file in tmp_path.glob("theirs.db*")] == ["theirs.db"]
    assert (tmp_path / "theirs.db").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_tables_of_another_application_on_a_server(small: Make, kind: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(kind)
    engine = create_engine(server.url.replace("postgresql:", "postgresql+psycopg:"))
    for table, made in THEIRS.items():
        with engine.begin() as connection:
            connection.execute(text(made))
            if table == "alembic_version":
                connection.execute(text("INSERT INTO alembic_version VALUES ('1a2b3c')"))
        before = inspect(engine).get_table_names()
        with pytest.raises(RunError, match=rf"a table {table} of another application.*; give another database"):
            fake_trials.run(small(storage=server.url, trials=1), FakeSetup())
        assert inspect(engine).get_table_names() == before
        with engine.begin() as connection:
            connection.execute(text(f"DROP {'VIEW' if 'VIEW' in made else 'TABLE'} {table}"))
    engine.dispose()
    fake_trials.run(small(storage=server.url, trials=1), FakeSetup())


@pytest.mark.slow
def test_other_tables_of_another_application_are_no_hindrance(small: Make, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shared.db")) as database:
        database.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT)")
    fake_trials.run(small(storage=f"sqlite:///{tmp_path / 'shared.db'}", trials=1), FakeSetup())


@pytest.mark.parametrize("url", ["sqlite://a:secret@host/studies.db", "sqlite://host/studies.db", "sqlite://:1/a.db"])
def test_a_file_on_a_host_is_refused(small: Make, url: str) -> None:
    """Two slashes are easily written for three."""
    with pytest.raises(InvalidInput, match="write three slashes") as refused:
        fake_trials.run(small(storage=url, trials=1), FakeSetup())
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/0?nothing=secret", "mysql+pymysql://127.0.0.1:1/a?nothing=secret"]
)
def test_a_query_that_a_driver_does_not_take_is_said(small: Make, url: str) -> None:
    pytest.importorskip("redis" if url.startswith("redis") else "pymysql", reason="its driver is not installed")
    with pytest.raises(InvalidInput, match="correct what follows the \\?") as refused:
        fake_trials.run(small(storage=url, trials=1), FakeSetup())
    assert "secret" not in str(refused.value)
