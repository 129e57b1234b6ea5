"""TERM, and HUP of a terminal that is closed, end a command as Ctrl-C does; what it prints cannot fail it."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.small_search import SPACE

from autocompress.search import RunFolder

FOLDER = Path(__file__).parents[2]


def begin(teacher: Path, photos: Path, folder: Path, *more: str, **how: Any) -> subprocess.Popen[str]:
    """A search of a minute or more, with a student already."""
    space = folder / "space.yaml"
    space.write_text(SPACE)
    words = ["search", "--budget-flops", "2G", "--teacher", teacher, "--space", space, "--train", photos]
    words += ["--init", "scratch", "--trials", "500", "--steps", "3", "--out", folder / "run", *more]
    command = [sys.executable, "-m", "autocompress", *map(str, words)]
    search = subprocess.Popen(command, cwd=FOLDER, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, **how)
    deadline = time.monotonic() + 120
    while not list((folder / "run").glob("trials/*/student.json")):
        assert search.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return search


@pytest.mark.parametrize(
    ("number", "times"), [(signal.SIGTERM, 2), pytest.param(signal.SIGHUP, 1, marks=pytest.mark.slow)]
)
def test_a_signal_ends_a_search_as_ctrl_c_does(
    teacher_file: Path, photos: Path, tmp_path: Path, number: signal.Signals, times: int
) -> None:
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    search = begin(teacher_file, photos, tmp_path, **pipes)
    for _ in range(times):
        search.send_signal(number)
    said, errors = search.communicate(timeout=30)
    assert search.returncode == 128 + number, errors
    assert "Pareto front" in said
    assert errors.endswith("Interrupted; the same command goes on from here.\n")
    assert "Traceback" not in errors
    run = RunFolder(tmp_path / "run")
    assert (run.path / "pareto.csv").is_file()
    assert (run.path / "report.html").is_file()


@pytest.mark.slow
def test_a_terminal_that_is_closed_ends_a_search_with_its_front(
    teacher_file: Path, photos: Path, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    tty = os.ttyname(theirs)

    def own_terminal() -> None:
        os.close(os.open(tty, os.O_RDWR))  # it becomes that of the session

    search = begin(
        teacher_file,
        photos,
        tmp_path,
        "--quiet",
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=own_terminal,
    )
    os.close(theirs)
    os.close(ours)
    assert search.wait(30) == 128 + signal.SIGHUP
    assert (tmp_path / "run/pareto.csv").is_file()


def test_what_nohup_ignores_stays_ignored() -> None:
    code = "import os, signal; from autocompress.cli.interruptions import as_ctrl_c\n"
    code += "with as_ctrl_c(): os.kill(os.getpid(), signal.SIGHUP)"
    ignoring = f"trap '' HUP; exec {sys.executable} -c '{code}'"
    assert subprocess.run(["sh", "-c", ignoring], cwd=FOLDER, check=False).returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_name_that_an_encoding_lacks_fails_nothing(encoding: str) -> None:
    name = "日本 \udcff"
    code = "import sys; print(sys.argv[1]); print(sys.argv[1], file=sys.stderr)"
    code = f"from autocompress.cli.streams import unfailing\nwith unfailing():\n exec({code!r})"
    ended = subprocess.run(
        [sys.executable, "-c", code, name],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        cwd=FOLDER,
        check=False,
    )
    assert ended.returncode == 0
    assert ended.stdout == ended.stderr
    assert b"\\u65e5\\u672c \\udcff" in ended.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_progress_that_cannot_be_written_fails_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "autocompress", "pareto", "nowhere"], stderr=full, cwd=FOLDER, check=False
        )
    assert ended.returncode == 2
