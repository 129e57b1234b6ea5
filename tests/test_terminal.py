"""How the command line behaves on terminals, in pipes and in shells."""

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
from rich.console import Console
from rich.table import Table
from small import Silent
from typer.main import get_command

from autocompress import __version__, display
from autocompress.cli import app, main
from autocompress.cli.tables import front_table, spare_of_front
from autocompress.cli.tables import show as show_table
from autocompress.display import Display, LiveDisplay, StepDisplay, counted, make_display
from autocompress.distill.recipe import Recipe
from autocompress.export import FORMATS
from autocompress.families.edsr.network import EDSRConfig
from autocompress.prune import INITS
from autocompress.search import Outcome, RunFolder
from autocompress.search.costs import OBJECTIVES
from autocompress.search.results import pareto
from autocompress.search.settings import SAMPLERS
from autocompress.search.space import Candidate, shipped_spaces
from autocompress.teachers import shipped

CANDIDATE = Candidate("edsr", {"num_feat": 16, "teacher_share": 0.5}, EDSRConfig(2, 16, 8), Recipe(), 10**9, 49603)
FOLDER = Path(__file__).parents[1]


def program(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autocompress", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | variables, cwd=FOLDER, check=False, timeout=60
    )


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """In this process; returns the exit code."""
    monkeypatch.setattr(sys, "argv", ["autocompress", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with the words that call it."""
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for below, found in getattr(command, "commands", {"": command}).items():
            yield f"{name} {below}".strip(), found


# --- help and errors ---


def test_it_runs_as_a_module_and_says_its_version() -> None:
    ended = program("--version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"autocompress {__version__}\n", "")


def test_help_names_the_exit_codes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Exit codes: 0 done; 1 failed while running; 2 something given cannot be used; 130 interrupted" in shown


@pytest.mark.parametrize(("words", "command"), list(commands()))
def test_every_command_has_an_example_of_itself(words: str, command: Any) -> None:
    assert f"Example: autocompress {words}" in command.help


def test_help_of_search_is_in_panels_and_fits_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(monkeypatch, "search", "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    panels = [found[1] for line in lines if (found := re.match(r"╭─ (.+?) ─", line))]
    assert panels == ["Options", "Budget", "Space and teacher", "Data", "Search", "Running", "Output"]
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)  # no option's name is cut


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "--bugdet-flops", "20G"], "no such option: --bugdet-flops"),
        (["serch"], "no such command 'serch'. Did you mean 'search'?"),
        (["pareto"], "missing argument"),
        (["search", "--trials", "many"], "invalid value for '--trials'"),
        (["spaces", "nothing"], "no such command 'nothing'"),
    ],
)
def test_what_is_no_command_gets_one_line_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(monkeypatch, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert line.startswith(f"error: {message}")
    assert line.endswith("(see --help)")


def test_a_group_without_a_command_shows_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "spaces") == 2
    captured = capsys.readouterr()
    assert "check" in captured.out + captured.err
    assert "error:" not in captured.err


@pytest.mark.parametrize("words", [["teacher", "list"], ["evaluate", "bicubic"], ["prune", "edsr-baseline-x2"]])
def test_ctrl_c_in_any_command_is_one_line_and_code_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for place in ("autocompress.teachers.shipped", "autocompress.teachers.load_teacher", "autocompress.evaluate.pairs"):
        monkeypatch.setattr(place, interrupted)
    assert run(monkeypatch, *words) == 130
    assert capsys.readouterr() == ("", "Interrupted.\n")


@pytest.mark.parametrize("words", [["pareto", "RUN"], ["--version"], ["--help"]])
def test_a_reader_that_goes_away_is_no_traceback(finished: tuple[RunFolder, Outcome, Silent], words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    arguments = [str(finished[0].path) if word == "RUN" else word for word in words]
    with os.fdopen(writing, "w") as out:
        ended = subprocess.run(
            [sys.executable, "-m", "autocompress", *arguments],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            cwd=FOLDER,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, "")


# --- colours and widths ---


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
        (60, ["trial", "student", "PSNR-Y dB", "FLOPs", "params"], ["SSIM-Y", "of teacher"]),
        (80, ["trial", "student", "PSNR-Y dB", "FLOPs", "params"], ["of teacher", "over bicubic"]),
        (120, ["SSIM-Y", "of teacher", "under teacher"], ["over bicubic"]),
        (140, ["SSIM-Y", "of teacher", "over bicubic", "under teacher"], []),
    ],
)
def test_the_front_fits_the_terminal(
    finished: tuple[RunFolder, Outcome, Silent],
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    there: list[str],
    absent: list[str],
) -> None:
    run_folder = finished[0]
    table = front_table(run_folder, pareto(run_folder))
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


# --- completion ---


def completed(words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What bash is told of the last of these words."""
    monkeypatch.setenv("_AUTOCOMPRESS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    assert run(monkeypatch) == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("autocompress par", ["pareto"]),
        ("autocompress search --space ", list(shipped_spaces())),
        ("autocompress search --teacher edsr", [name for name in shipped() if name.startswith("edsr")]),
        ("autocompress search --sampler ", list(SAMPLERS)),
        ("autocompress search --init ", list(INITS)),
        ("autocompress search --backend ", ["local", "ray"]),
        ("autocompress search --objective ", list(OBJECTIVES)),
        ("autocompress export run --format ", list(FORMATS)),
        ("autocompress distill edsrmini --recipe p", ["paper"]),
        ("autocompress evaluate swin", [name for name in shipped() if name.startswith("swin")]),
    ],
)
def test_a_shell_completes_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, expected: list[str]
) -> None:
    assert completed(words, monkeypatch, capsys) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    monkeypatch.setenv("_AUTOCOMPRESS_COMPLETE", f"source_{shell}")
    assert run(monkeypatch) == 0
    assert "_AUTOCOMPRESS_COMPLETE" in capsys.readouterr().out


def test_completion_imports_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['autocompress']\n"
        "from autocompress.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    print(sorted({'torch', 'optuna', 'pandas'} & set(sys.modules)), file=sys.stderr)"
    )
    asked = {
        "_AUTOCOMPRESS_COMPLETE": "complete_bash",
        "COMP_WORDS": "autocompress search --teacher ",
        "COMP_CWORD": "3",
    }
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | asked, check=True
    )
    assert (ended.stdout.split(), ended.stderr) == (list(shipped()), "[]\n")


# --- progress ---


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that goes on when it is told."""
    now = [1000.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def plain(trials: int) -> tuple[Display, io.StringIO]:
    lines = io.StringIO()
    return Display(Console(file=lines, width=200), trials, steps=10), lines


def test_time_left_is_of_the_trials_to_go(clock: Callable[[float], None]) -> None:
    """Twenty of 24 trials were an earlier session's; the preparation is no trial either."""
    shown, _ = plain(24)
    clock(60)
    assert shown.time_left() == "1m00s gone, about ? left"
    shown.to_go(4)
    clock(10)
    shown.finished(20, CANDIDATE, 30.0)
    assert shown.time_left() == "1m10s gone, about 30s left"
    shown.to_go(1)  # another session has ended two
    assert shown.time_left() == "1m10s gone, about 3s left"
    assert shown.time_left(done=0.5) == "1m10s gone, about 1s left"


def test_a_trial_that_is_tried_again_counts_once(clock: Callable[[float], None]) -> None:
    shown, _ = plain(2)
    shown.to_go(2)
    clock(10)
    shown.failed(0, CANDIDATE, "its worker died")
    shown.to_go(2)
    assert shown.left == 2
    shown.finished(1, CANDIDATE, 30.0)
    assert shown.time_left() == "10s gone, about 10s left"


def test_the_live_display_has_a_line_for_each_running_trial() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with LiveDisplay(console, trials=8, steps=100) as live:
        live.to_go(8)
        for trial in (3, 4):
            live.scored(trial, CANDIDATE, 30.0 + trial)
            live.training(trial, CANDIDATE)
        live.step(4, 50)
        live.at_rung(4, 50, 35.25)
        live.step(5, 70)  # goes on from its last rung
        text = drawn(live)
        for part in ("trial   3", "step 0/100", "33.00 dB before", "trial   4", "step 50/100", "35.25 dB so far"):
            assert part in text
        assert "trial   5" in text
        assert "trial 0/8" in text
        live.finished(4, CANDIDATE, 36.0)
        live.stopped(5, CANDIDATE, "dominated")
        text = drawn(live)
        assert "trial   4" not in text
        assert "trial   5" not in text
        assert "trial 2/8" in text
        assert "best 36.00 dB" in text


def drawn(live: LiveDisplay) -> str:
    paper = Console(file=io.StringIO(), width=120)
    with paper.capture() as captured:
        paper.print(live._render())
    return captured.get()


def test_quiet_shows_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    with make_display(2, 10, quiet=True) as shown:
        shown.stage("decoding images")
        shown.finished(0, CANDIDATE, 30.0)
    with display.step_display(2, quiet=True) as steps:
        steps.log("a line")
        steps.step(1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("command", ["search", "distill", "prune", "teacher train", "evaluate"])
def test_what_takes_long_can_be_quiet(command: str) -> None:
    [found] = [found for words, found in commands() if words == command]
    [quiet] = [option for option in found.params if option.name == "quiet"]
    assert quiet.opts == ["--quiet", "-q"]


def test_a_quiet_prune_prints_its_result_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], teacher_file: Path, photos: Path
) -> None:
    arguments = ["prune", teacher_file, "--train", photos, "--val", photos, "--steps", "4"]
    assert run(monkeypatch, *arguments, "-q") == 0
    quiet = capsys.readouterr()
    assert quiet.err == ""
    assert "Suggested by the densities" in quiet.out


def test_a_terminal_that_cannot_draw_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(make_display(2, 10), LiveDisplay)
    monkeypatch.setenv("TERM", "dumb")
    assert not isinstance(make_display(2, 10), LiveDisplay)


def test_steps_in_a_pipe_are_twenty_lines(clock: Callable[[float], None]) -> None:
    lines = io.StringIO()
    with StepDisplay(Console(file=lines, width=200), 1000) as steps:
        for step in range(1, 1001):
            clock(0.1)
            steps.step(step)
    assert len(lines.getvalue().splitlines()) == 20
    assert lines.getvalue().splitlines()[9].startswith("step 500/1000  50s gone, about 50s left")


def test_many_images_in_a_pipe_are_a_line_every_ten_seconds(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in counted(range(100), 100, "scoring Urban100"):
        clock(0.3)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["scoring Urban100: 34/100", "scoring Urban100: 68/100"]
