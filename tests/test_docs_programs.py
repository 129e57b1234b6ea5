"""Documented commands that need a process, a server or a tool of their own: each as the pages write it.

tests/test_docs.py runs all others, in its own process and on small teachers. Here a command is a program of its own,
with the teachers and photographs that ship. Only numbers of steps and trials are added, and the machine that
FIRST_MACHINE stands for; servers are on this machine.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import pytest
from helpers.documentation import PAGES, PROGRAMS_OF_THEIR_OWN, StandIns, commands
from helpers.hub import StandIn
from helpers.servers import Server, postgresql
from helpers.small_search import FinishedSearch

__all__ = ["postgresql"]  # a fixture

COMMANDS = [command for page in PAGES for command in commands(page)]
BIN = Path(sys.executable).parent
SHORT = ("--trials", "2", "--steps", "2")


def documented(start: str) -> str:
    """The one command of the pages that begins so."""
    (command,) = {command for command in COMMANDS if command.startswith(start)}
    return command


def words_of(command: str) -> list[str]:
    """With the program of this environment."""
    program, *words = shlex.split(command)
    return [str(BIN / program), *words]


def run(command: str, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it where the test is; it must end well."""
    words = [*words_of(command), *more]
    ended = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended


def needs_port(port: int) -> None:
    """Skip where another program listens there: the pages' commands name no other port."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        pytest.skip(f"another program has port {port}")


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, finished: FinishedSearch) -> StandIns:
    return StandIns(tmp_path_factory.mktemp("stand"), finished[0])


@pytest.fixture
def there(stand: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with all that the pages name."""
    folder = tmp_path / "here"
    shutil.copytree(stand.folder, folder)
    monkeypatch.chdir(folder)
    return folder


def test_every_such_command_is_run_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [start for start in PROGRAMS_OF_THEIR_OWN if f'"{start}"' not in text] == []


def answered(url: str) -> bytes:
    """What a server says that may only just have begun."""
    for _ in range(300):
        with suppress(OSError), urlopen(url, timeout=30) as answer:
            return bytes(answer.read())
        time.sleep(0.1)
    pytest.fail(f"{url} does not answer")


@pytest.mark.parametrize(
    "start", ["autocompress dashboard", pytest.param("optuna-dashboard sqlite:", marks=pytest.mark.slow)]
)
def test_the_dashboard_opens(start: str, there: Path) -> None:
    needs_port(8080)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words_of(documented(start)), **pipes) as program:  # type: ignore[call-overload]
        try:
            said = program.stdout if start.startswith("autocompress") else program.stderr
            while (found := re.search(r"http://\S+", line := said.readline())) is None:
                assert line, program.communicate()
            assert b"<html" in answered(found[0])
        finally:
            program.send_signal(signal.SIGINT)
            program.communicate(timeout=30)


@pytest.mark.slow
def test_an_environment_is_made(here: Path) -> None:
    command = documented("python3 -m venv")
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    assert Path(".venv/bin/pip").exists()


@pytest.mark.slow
def test_workers(here: Path) -> None:
    ended = run("autocompress search --budget-flops 20G --workers 4", *SHORT)
    assert "Pick: " in ended.stdout


@pytest.mark.slow
def test_a_search_is_joined_by_two(there: Path) -> None:
    run("autocompress search --join runs/mine --workers 2")


@pytest.mark.slow
def test_latencies_are_measured(there: Path) -> None:
    ended = run(documented("autocompress evaluate runs/edsr-20G-seed0 --latency"))
    assert " ms" in ended.stdout


@pytest.mark.slow
def test_a_study_in_postgresql(here: Path, postgresql: Server) -> None:
    """`host` is a name that the client library is given the address of."""
    import psycopg

    with psycopg.connect(postgresql.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE \"user\" LOGIN PASSWORD 'password'")
        connection.execute('CREATE DATABASE studies OWNER "user"')
    port = postgresql.url.rpartition(":")[2].partition("/")[0]
    command = documented("autocompress search --budget-flops 20G --storage postgresql:")
    ended = run(command, *SHORT, PGHOSTADDR="127.0.0.1", PGPORT=port)
    assert "Pick: " in ended.stdout
    assert not Path("runs/mine/study.db").exists()
    with psycopg.connect(postgresql.url.replace("/postgres", "/studies")) as connection:
        assert connection.execute("SELECT count(*) FROM trials").fetchone() == (2,)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ncnn") is None or find_spec("pnnx") is None, reason="ncnn or pnnx is not installed")
def test_files_for_ncnn(here: Path) -> None:
    run("autocompress export edsrmini-x2 --out models --format ncnn")
    assert {path.suffix for path in Path("models").iterdir()} >= {".param", ".bin"}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed")
def test_a_student_is_pushed(there: Path) -> None:
    hub = StandIn("me/2x-edsr-f16b15-19G")
    try:
        run(documented("autocompress export runs/edsr-20G-seed0 --trial pick --format safetensors"), **hub.environment)
    finally:
        hub.close()
    assert {Path(name).suffix for name in hub.files} >= {".safetensors", ".onnx", ".md"}


@pytest.fixture
def own_ray() -> Iterator[dict[str, str]]:
    """What keeps a Ray of this machine's apart from others; what was started with it is ended by its number."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'autocompress[ray]'")
    folder = tempfile.mkdtemp(prefix="ray")  # a short path: sockets lie in it
    yield {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"RAY_TMPDIR={folder}".encode() in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_ray_of_its_own(here: Path, own_ray: dict[str, str]) -> None:
    ended = run("autocompress search --budget-flops 20G --backend ray", *SHORT, **own_ray)
    assert "Pick: " in ended.stdout


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_by_hand(here: Path, own_ray: dict[str, str]) -> None:
    needs_port(6379)
    run(documented("ray start --head"), **own_ray)
    run(documented("ray start --address").replace("FIRST_MACHINE", "127.0.0.1"), **own_ray)
    ended = run("autocompress search --budget-flops 20G --backend ray --address auto", *SHORT, **own_ray)
    assert "Pick: " in ended.stdout


def test_extras_that_are_installed_are_declared() -> None:
    declared = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    named = {extra for command in COMMANDS for extra in re.findall(r"pip install .*\[(\w+)\]", command)}
    assert named
    assert named <= declared["optional-dependencies"].keys()
