"""How the command line behaves on terminals and in pipes."""

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import Call
from helpers.small_search import FinishedSearch
from rich.table import Table

from autocompress import __version__
from autocompress.cli.models import list_models
from autocompress.cli.printing import say
from autocompress.cli.printing import show as show_table
from autocompress.cli.tables import front_table, spare_of_front
from autocompress.cli.teacher import list_teachers
from autocompress.search.results.rows import front_rows

FOLDER = Path(__file__).parents[2]


def program(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autocompress", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | variables, cwd=FOLDER, check=False, timeout=60
    )


def test_it_runs_as_a_module_and_says_its_version() -> None:
    ended = program("--version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"autocompress {__version__}\n", "")


@pytest.mark.parametrize("words", [["teacher", "list"], ["evaluate", "bicubic"], ["prune", "edsr-baseline-x2"]])
def test_ctrl_c_in_any_command_is_one_line_and_code_130(
    call: Call, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    loading = ("autocompress.networks.teachers.shipped_teachers", "autocompress.networks.teachers.load_teacher")
    for place in (*loading, "autocompress.evaluation.scores.pairs"):
        monkeypatch.setattr(place, interrupted)
    assert call(*words) == (130, "", "Interrupted.\n")


@pytest.mark.parametrize("words", [["pareto", "RUN"], ["--version"], ["--help"]])
def test_a_reader_that_goes_away_is_no_traceback(finished: FinishedSearch, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    arguments = [str(finished[0].path) if word == "RUN" else word for word in words]
    with os.fdopen(writing, "w") as out:
        ended = to_stream(out, *arguments)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["pareto", "RUN"], ["--version"]])
def test_a_full_disk_under_stdout_is_one_line(finished: FinishedSearch, words: list[str]) -> None:
    arguments = [str(finished[0].path) if word == "RUN" else word for word in words]
    with Path("/dev/full").open("w") as out:
        ended = to_stream(out, *arguments)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "error: stdout: No space left on device; the results could not be written there in full"
    ]


def to_stream(out: object, *arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autocompress", *arguments]
    own: dict[str, Any] = {"stdout": out, "stderr": subprocess.PIPE, **more}
    return subprocess.run(command, text=True, cwd=FOLDER, check=False, **own)


def test_a_stream_that_is_closed_is_one_that_nobody_wants(finished: FinishedSearch) -> None:
    ended = to_stream(None, "pareto", str(finished[0].path), preexec_fn=lambda: os.close(1))
    assert (ended.returncode, ended.stderr) == (0, "")


def on_a_terminal(*arguments: object, **variables: str) -> str:
    """What a terminal gets of it."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "autocompress", *map(str, arguments)]
    own = ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if name not in own} | {"TERM": "xterm-256color"}
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=kept | {"TERM": "xterm-256color"} | variables,
        cwd=FOLDER,
    )
    os.close(theirs)
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as screen:
        while True:
            try:
                part = screen.read(65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
    assert process.wait() == 0
    return shown.decode()


COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


def test_colours_are_for_terminals_that_want_them() -> None:
    assert COLOUR.search(on_a_terminal("--help"))
    assert not COLOUR.search(on_a_terminal("--help", NO_COLOR="1"))
    assert "\x1b" not in on_a_terminal("--help", TERM="dumb")
    assert "\x1b" not in program("--help").stdout


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> Iterator[io.StringIO]:
    """A terminal of this width on stdout."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", screen)
        patch.setenv("COLUMNS", str(width))
        patch.setenv("NO_COLOR", "1")
        yield screen


@pytest.mark.parametrize(
    ("width", "there", "absent"),
    [
        (60, ["trial", "student", "PSNR-Y dB", "FLOPs"], ["params", "SSIM-Y", "of teacher"]),
        (80, ["trial", "student", "PSNR-Y dB", "FLOPs", "to the pick"], ["params", "of teacher", "over bicubic"]),
        (100, ["params", "under teacher", "to the pick"], ["SSIM-Y", "of teacher", "over bicubic"]),
        (120, ["SSIM-Y", "of teacher", "under teacher", "to the pick"], ["over bicubic"]),
        (150, ["SSIM-Y", "of teacher", "over bicubic", "under teacher", "to the pick"], []),
    ],
)
def test_the_front_fits_the_terminal(
    finished: FinishedSearch,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    there: list[str],
    absent: list[str],
) -> None:
    run_folder = finished[0]
    table = front_table(run_folder, front_rows(run_folder))
    with terminal(monkeypatch, width) as screen:
        show_table(table, spare_of_front(run_folder))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert max(map(len, shown.splitlines())) <= width
    assert all(heading in shown for heading in there)
    assert not any(heading in shown for heading in absent)
    assert "…" not in shown


def test_a_pipe_gets_every_column(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    show_table(Table(*(f"a long heading {index}" for index in range(6))), ["a long heading 0"])
    assert "a long heading 0" in capsys.readouterr().out


def test_sentences_fit_a_terminal_and_a_pipe_gets_them_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "Pick: trial 10, 34.66 dB at 19.08G FLOPs: runs/edsr-20G-seed0/trials/0010/student.safetensors"
    with terminal(monkeypatch, 60) as screen:
        say(sentence)
    assert screen.getvalue().splitlines() == [sentence[:42].rstrip(), f"    {sentence[42:].strip()}"]
    say(sentence)
    assert capsys.readouterr().out == f"{sentence}\n"


@pytest.mark.parametrize(("listing", "name"), [(list_models, "plainusr-x2-10g"), (list_teachers, "edsr-baseline-x2")])
def test_names_that_are_typed_are_whole_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, listing: Callable[[], None], name: str
) -> None:
    with terminal(monkeypatch, 60) as screen:
        listing()
    assert name in screen.getvalue()
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue()).splitlines())) <= 60
