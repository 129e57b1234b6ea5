"""PostgreSQL, MariaDB and Redis for a test, to be killed and started again."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])  # servers lie there


def children_of(pid: int) -> list[int]:
    """The processes that one has started and that still run."""
    found = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it ends just now
            found += map(int, listed.read_text().split())
    return found


class Server:
    """A server that can be killed and started again on the same port and files."""

    def __init__(self, command: list[str], url: str, answers: Callable[[str], bool], **options: Any) -> None:
        """`answers` tells of a URL whether the server there takes requests by now."""
        self.url = url
        self._command, self._answers, self._options = command, answers, options
        self.start()

    def start(self) -> None:
        """Until it has mended its files and answers."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
        self.process = subprocess.Popen(self._command, **quiet, **self._options)
        for _ in range(300):
            if self._answers(self.url):
                return
            time.sleep(0.1)
        pytest.fail(f"{self._command[0]} does not answer")

    def kill(self) -> None:
        """With all its processes; PostgreSQL's own are in sessions of their own."""
        killed = [self.process.pid, *children_of(self.process.pid)]
        for pid in killed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def postgresql() -> Iterator[Server]:
    psycopg = pytest.importorskip("psycopg", reason="no psycopg: pip install 'autocompress[storage]'")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    binary = shutil.which("postgres") or (installed[-1] / "postgres" if installed else None)
    if binary is None:
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp())  # not pytest's: a socket's path must be short, and another user goes there
    options: dict[str, Any] = {}
    if os.getuid() == 0:  # it refuses to run as root
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL cannot run as root, and there is no user postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        options = {"user": user.pw_uid, "group": user.pw_gid, "cwd": folder}
    data = folder / "data"
    initdb = [str(Path(binary).with_name("initdb")), "-D", str(data), "-U", "tester", "-A", "trust", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, **options)
    port = free_port()

    def answers(url: str) -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(url).close()
            return True
        return False

    command = [str(binary), "-D", str(data), "-p", str(port), "-k", str(folder), "-h", "127.0.0.1"]
    server = Server(command, f"postgresql://tester:secret@127.0.0.1:{port}/postgres", answers, **options)
    yield server
    server.kill()
    shutil.rmtree(folder)


@pytest.fixture
def mariadb() -> Iterator[Server]:
    pymysql = pytest.importorskip("pymysql", reason="PyMySQL is not installed: pip install PyMySQL")
    binary, install = shutil.which("mariadbd", path=PROGRAMS), shutil.which("mariadb-install-db", path=PROGRAMS)
    if binary is None or install is None:
        pytest.skip("MariaDB is not installed")
    folder = Path(tempfile.mkdtemp())  # not pytest's: a socket's path must be short
    user = f"--user={pwd.getpwuid(os.getuid()).pw_name}"  # it refuses to run as root unless it is told so
    own = [f"--datadir={folder / 'data'}", user]
    first = [install, "--no-defaults", *own, "--auth-root-authentication-method=normal"]
    subprocess.run(first, check=True, capture_output=True)
    port = free_port()

    def answers(url: str) -> bool:
        with suppress(pymysql.OperationalError):
            pymysql.connect(host="127.0.0.1", port=port, user="root").close()
            return True
        return False

    listens = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 'socket'}"]
    command = [binary, "--no-defaults", *own, *listens, f"--pid-file={folder / 'pid'}"]
    server = Server(command, f"mysql+pymysql://tester:secret@127.0.0.1:{port}/studies", answers)
    with pymysql.connect(host="127.0.0.1", port=port, user="root") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE studies")
        cursor.execute("CREATE USER tester@localhost IDENTIFIED BY 'secret'")
        cursor.execute("GRANT ALL ON studies.* TO tester@localhost")
    yield server
    server.kill()
    shutil.rmtree(folder)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    client = pytest.importorskip("redis", reason="redis is not installed: pip install 'autocompress[storage]'")
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    port = free_port()

    def answers(url: str) -> bool:
        with suppress(client.RedisError), client.Redis.from_url(url) as connection:
            return bool(connection.ping())
        return False

    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes", "--dir", str(tmp_path)]
    server = Server([*command, "--requirepass", "secret"], f"redis://:secret@127.0.0.1:{port}/0", answers)
    yield server
    server.kill()
