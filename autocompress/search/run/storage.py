"""Where a study is stored: in a file of the run folder, or in a database that several machines share."""

from __future__ import annotations

import secrets
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import sqlalchemy
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages._rdb.models import BaseModel
from optuna.storages.journal import JournalRedisBackend
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SAWarning, SQLAlchemyError

from autocompress.errors import InvalidInput, RunError, StorageError
from autocompress.names import printable
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.study_file import STUDY_NAME
from autocompress.search.run.uninterrupted import UninterruptedStorage, uninterrupted

REDIS = ("redis", "rediss", "unix")  # schemes
FILES = ("sqlite", "sqlite+pysqlite")  # of files that have no password and no options
DRIVER = "postgresql+psycopg"  # what `postgresql` means; SQLAlchemy before 2.1 takes it for psycopg2
# Parameters of a URL's query that are no secrets. All others are taken for some: each driver has its own, also in
# such as `options`.
SHOWN = (
    *("application_name", "charset", "client_encoding", "connect_timeout", "db", "mode", "protocol", "socket", "ssl"),
    *("ssl_ca", "ssl_cert_reqs", "sslmode", "sslrootcert", "target_session_attrs", "timeout", "unix_socket", "uri"),
)
HIDDEN = "***"
STUDIES, ALEMBIC = "studies", "alembic_version"  # tables: Optuna's first, and that of the tool by which it makes them
WRITE_TIMEOUT = 60  # seconds for another process that writes to the same SQLite file
CONNECT_TIMEOUT = 10  # seconds for a server to answer


@dataclass(frozen=True)
class StudyStorage:
    """An Optuna RDB URL, or `redis://` for a journal there, or None for the run's own file; and the study's name."""

    url: str | None
    study: str
    _opened: list[BaseStorage] = field(default_factory=list, repr=False, compare=False)

    @property
    def shown(self) -> str:
        """The URL without its secrets, for people and for config.json."""
        return "its own study.db" if self.url is None else masked(self.url)

    def record(self) -> dict[str, str | None]:
        """What config.json keeps."""
        return {"url": None if self.url is None else masked(self.url), "study": self.study}

    def open(self, run: RunFolder) -> BaseStorage:
        """Connect; raises InvalidInput, with the remedy, where that cannot be done."""
        self._opened.append(storage := self._connect(run))
        return storage

    def _connect(self, run: RunFolder) -> BaseStorage:
        if self.url is None:
            return self._checked(_sqlite(f"sqlite:///{run.database.absolute()}"))
        try:
            if _parsed(self.url).drivername in REDIS:
                return _redis(self.url)
            _check_free(self.url)
            return self._checked(_sqlite(self.url) if self.url.startswith("sqlite") else _server(self.url))
        except RunError:
            raise
        except TypeError as error:
            if not _parsed(self.url).query:
                raise
            raise InvalidInput(
                f"the storage {self.shown} has a query that its driver does not take ({self._reason(error)}); correct "
                "what follows the ?, or leave it out"
            ) from error
        except ImportError as error:
            raise InvalidInput(
                f"the storage {self.shown} needs a Python package that is not installed ({self._reason(error)}); "
                f"{_how_to_install(self.url, error)}"
            ) from error
        except Exception as error:
            if not isinstance(error, (*_connection_errors(), RuntimeError, ValueError, OSError)):
                raise
            raise InvalidInput(
                f"the storage {self.shown} cannot be used ({self._reason(error)}); {_how_to_mend(self.url, error)}"
            ) from error

    def _checked(self, storage: RDBStorage) -> RDBStorage:
        """The storage itself; RunError where another version of Optuna has made its tables."""
        try:
            made, ours = storage.get_current_version(), _installed_version(storage)
        except BaseException:  # of a server that goes away just now; who asked never has it, and cannot close it
            disconnect(storage)
            raise
        if made == ours:
            return storage
        older = made in storage.get_all_versions()
        url = self.shown if self.url is not None else storage.url
        disconnect(storage)
        upgrade = f"make a copy, then upgrade it: optuna storage upgrade --storage {url!r}"
        raise RunError(
            f"the study in {self.shown} has the tables of {'an older' if older else 'a newer'} Optuna ({made}; "
            f"the installed one has {ours}); {upgrade if older else 'pip install -U optuna'}"
        )

    @contextmanager
    def errors_explained(self) -> Iterator[None]:
        """Around all that is done with the study: StorageError, with what to do, where the storage goes away.

        At its end no connection stays open; what is still used after it connects anew.
        """
        try:
            yield
        except _connection_errors() as error:
            raise StorageError(
                f"the study in {self.shown} cannot be read or written any more ({self._reason(error)}); "
                "mend that, and the same command goes on"
            ) from error
        finally:
            while self._opened:
                disconnect(self._opened.pop())

    def _reason(self, error: BaseException) -> str:
        """The first line of the error that an error was first caused by; drivers repeat what they were given."""
        while (cause := _cause(error)) is not None:
            error = cause
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        for secret in () if self.url is None else _secrets(self.url):
            reason = reason.replace(secret, HIDDEN)
        return reason


_installed = list[str]()


def _installed_version(storage: RDBStorage) -> str:
    """Of the tables that the installed Optuna makes: found once in a process, as all of its migrations are read."""
    if not _installed:
        _installed.append(storage.get_head_version())
    return _installed[0]


def find_storage(url: str | None, run: RunFolder) -> StudyStorage:
    """The storage of a run's study: as recorded, or for a new run as given; RunError if the two are not the same."""
    wanted = None if url is None else _absolute(url)
    if not run.exists():
        if wanted is not None:
            _check_query(wanted)
        name = printable(run.path.absolute().name) or STUDY_NAME
        return StudyStorage(wanted, name if wanted is None else f"{name}-{secrets.token_hex(4)}")
    recorded = run.config.storage or StudyStorage(None, STUDY_NAME).record()
    was, study = recorded["url"], recorded["study"]
    was = None if was is None else masked(was)  # by an earlier version it may show more
    if wanted is None and was is not None and HIDDEN in was:
        raise RunError(
            f"{run.path}: its study is in {was}, and passwords are not kept; give --storage with the password again"
        )
    if wanted is None or (was is not None and masked(wanted) == was):
        return StudyStorage(wanted or was, str(study))
    stored_in = "its own study.db" if was is None else was
    remedy = "leave --storage out" if was is None else f"give --storage {was}"
    if was is not None and HIDDEN in was:
        remedy += f" with the password for {HIDDEN}"
    raise RunError(
        f"{run.path}: its study is in {stored_in}, not in {masked(wanted)}; {remedy} "
        "(another storage is for a search in another folder)"
    )


def check_storage(url: str | None) -> None:
    """Raise InvalidInput for what is no URL, or of a kind of database that there is not; nothing is connected to."""
    if url is None or (parsed := _parsed(url)).drivername in REDIS:
        return
    try:
        parsed.get_dialect()
    except NoSuchModuleError as error:
        raise InvalidInput(f"the storage {masked(url)} cannot be used ({error}); {_how_to_mend(url, error)}") from error


def masked(url: str) -> str:
    """A URL with stars for its password, and for all of its query that may be a secret."""
    parsed = _parsed(url)
    hidden = {key: HIDDEN for key in parsed.query if key.lower() not in SHOWN}
    shown = parsed.update_query_dict(hidden).render_as_string(hide_password=True)
    return shown.replace(quote(HIDDEN), HIDDEN)


def _secrets(url: str) -> list[str]:
    """All that `masked` hides, as it is and as URLs write it, the longest first."""
    parsed = _parsed(url)
    hidden = [] if parsed.password is None else [str(parsed.password)]
    for key, value in parsed.query.items():
        if key.lower() not in SHOWN:
            hidden += [value] if isinstance(value, str) else value
    written = {form for secret in hidden for form in (secret, quote(secret), quote_plus(secret))}
    return sorted(written - {"", HIDDEN}, key=len, reverse=True)


def _parsed(url: str) -> URL:
    """A URL in its parts; InvalidInput, which does not repeat it, where it is none."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter of a port that is no number
        raise InvalidInput(
            "--storage is no URL; give one such as sqlite:////data/studies.db, "
            "postgresql://user:password@host/database or redis://host:6379"
        ) from None
    if url.count("@") > 1 and parsed.get_backend_name() != "sqlite":  # what follows the first would be taken for a host
        raise InvalidInput("--storage has more than one @; write one of a user or a password as %40, and / as %2F")
    if any(sign in f"{parsed.username or ''}{parsed.host or ''}" for sign in "?=&/#"):  # a query that an @ has ended
        raise InvalidInput(
            "--storage has an @ behind its ?; write one of a user, a password or a query as %40, and ? as %3F"
        )
    return parsed


def _absolute(url: str) -> str:
    """The URL with an absolute path, so that it means the same in any folder."""
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.drivername in FILES and (parsed.host or parsed.port or parsed.username or parsed.password):
            raise InvalidInput(
                f"the storage {masked(url)} has a host or a user, and a file of SQLite has none; write three slashes "
                "before its path, as in sqlite:///studies.db"
            )
        if parsed.database in (None, "", ":memory:"):
            raise InvalidInput(
                f"the storage {masked(url)} keeps nothing; give the URL of a file, as in sqlite:///studies.db"
            )
        parsed = parsed.set(database=str(Path(str(parsed.database)).absolute()))
    return parsed.render_as_string(hide_password=False)


def _check_query(url: str) -> None:
    """InvalidInput where SQLite would ignore what stands behind a URL's question mark, such as a password."""
    parsed = _parsed(url)
    if parsed.drivername not in FILES:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error", SAWarning)
        try:
            if "uri" in parsed.query:  # of a path, which ours are, it would make the query a part of the file's name
                raise SAWarning
            sqlalchemy.create_engine(url).dispose()
        except SAWarning:
            raise InvalidInput(
                f"the storage {masked(url)} has a query that SQLite would ignore, as its files have no password and no "
                "options; leave out what follows the ?"
            ) from None


def _sqlite(url: str) -> RDBStorage:
    """Write-ahead logging lets a dashboard read while a search writes; FULL loses nothing in a power cut.

    No signal breaks off what is done with it: see `uninterrupted`.
    """

    def configure(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    # from the first connection on: a new study's tables are synced once each, not three times
    options = {"connect_args": {"timeout": WRITE_TIMEOUT}, "pool_events": [(configure, "connect")]}
    with warnings.catch_warnings(), uninterrupted():
        warnings.simplefilter("ignore", SAWarning)  # of a query that is ignored; new runs have none: see `_check_query`
        return UninterruptedStorage(url, options, skip_compatibility_check=True)


def _check_free(url: str) -> None:
    """RunError where another application has tables under the names of Optuna's, before any is made beside them.

    Optuna's are known by their keys, and by what all of its versions have beside. Views count as tables do, and so does
    the table in which Alembic, which others use too, keeps a version: it has one row, and Optuna would take it for its.
    """
    parsed, options = _for_engine(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).is_file():
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # as in `_sqlite`
        engine = sqlalchemy.create_engine(parsed, **options)
    try:
        there = sqlalchemy.inspect(engine)
        views, tables = there.get_view_names(), there.get_table_names()
        by_name = {_as_compared(name, engine.name): name for name in [*tables, *views]}
        for table in BaseModel.metadata.sorted_tables:
            if (name := by_name.get(table.name)) is not None:
                columns = {column["name"] for column in there.get_columns(name)}
                if name in views or not columns.issuperset(_known_by(table)):
                    raise _of_another(url, name)
        if ALEMBIC in by_name and STUDIES not in by_name:
            with engine.connect() as connection:
                if connection.execute(sqlalchemy.text(f"SELECT 1 FROM {ALEMBIC}")).first() is not None:
                    raise _of_another(url, ALEMBIC)
    finally:
        engine.dispose()


def _as_compared(name: str, database: str) -> str:
    """A table's name as the database compares it with others: SQLite takes capitals for small letters."""
    return name.lower() if database == "sqlite" else name


def _known_by(table: sqlalchemy.Table) -> set[str]:
    """Columns that a table of Optuna's has in all versions: its own key, those of other tables, and a study's name."""
    keys = {column.name for column in table.columns if column.primary_key or column.foreign_keys}
    return {*keys, "study_name"} if table.name == STUDIES else keys


def _of_another(url: str, table: str) -> RunError:
    return RunError(
        f"the storage {masked(url)} has a table {table} of another application, where Optuna would keep its own; "
        "give another database"
    )


def disconnect(storage: BaseStorage) -> None:
    """Close the connections of a storage; what is still used after it connects anew."""
    with suppress(*_connection_errors()):  # of a server that is gone
        storage.remove_session()
    if isinstance(storage, RDBStorage):
        storage.engine.dispose()
    elif isinstance(storage, JournalStorage) and isinstance(storage._backend, JournalRedisBackend):
        storage._backend._redis.close()  # else its socket is left to the garbage collector


def _server(url: str) -> RDBStorage:
    """Connect to a server; a connection that it has closed, during hours of training, is made again when needed."""
    parsed, options = _for_engine(url)
    options["pool_pre_ping"] = True
    return RDBStorage(parsed.render_as_string(hide_password=False), options, skip_compatibility_check=True)


def _for_engine(url: str) -> tuple[URL, dict[str, Any]]:
    """The URL for SQLAlchemy, and the options of its engine."""
    options = dict[str, Any]()
    parsed = _parsed(url)
    if parsed.get_backend_name() in ("postgresql", "mysql", "mariadb"):
        options["connect_args"] = {"connect_timeout": CONNECT_TIMEOUT}
    if parsed.drivername in FILES:
        options["connect_args"] = {"timeout": WRITE_TIMEOUT}
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername=DRIVER)
    return parsed, options


def _how_to_install(url: str, error: ImportError) -> str:
    """The remedy for a package that is not installed: pip's name of it may be another than Python's."""
    parsed = _parsed(url)
    if parsed.drivername in ("postgresql", DRIVER, *REDIS):
        return "pip install 'autocompress[storage]' has those for PostgreSQL and Redis"
    match parsed.get_backend_name():
        case "mysql" | "mariadb" if parsed.drivername.endswith("+pymysql"):
            return "pip install PyMySQL does it"
        case "mysql" | "mariadb":
            return "write mysql+pymysql:// for its beginning, and pip install PyMySQL"
        case "postgresql":
            return "write postgresql:// for its beginning, and pip install 'autocompress[storage]'"
    cause = _cause(error)
    name = error.name or (cause.name if isinstance(cause, ImportError) else None)
    return f"install {name or 'it'} with pip"


def _how_to_mend(url: str, error: BaseException) -> str:
    """The remedy for a storage that cannot be connected to: of a file, of a server, or of a kind that is not known."""
    if isinstance(error, NoSuchModuleError):
        return "give a URL that begins with sqlite:///, postgresql://, mysql+pymysql:// or redis://"
    if url.startswith("sqlite"):
        return "check that its folder is there and can be written to, and that a file there is a database of SQLite"
    return "check its address, user and password, and that it is running"


def _redis(url: str) -> JournalStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return JournalStorage(JournalRedisBackend(url))


def _cause(error: BaseException) -> BaseException | None:
    """What an error was raised for; a second failure of a connection, while the first is handled, is due to that."""
    while_handling = error.__context__
    again = while_handling if isinstance(while_handling, _connection_errors()) else None
    return getattr(error, "orig", None) or error.__cause__ or again


def _connection_errors() -> tuple[type[Exception], ...]:
    """What storages raise when they cannot be reached; those of Redis only where its package has been imported."""
    if "redis" not in sys.modules:
        return StorageInternalError, SQLAlchemyError
    from redis.exceptions import RedisError

    return StorageInternalError, SQLAlchemyError, RedisError
