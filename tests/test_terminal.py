"""How a running search looks: on a terminal, in a pipe, and with --quiet."""

import io
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command_line import Call
from rich.console import Console

from autocompress.distill.recipe import Recipe
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.search.space.search_space import Candidate
from autocompress.terminal import Display, LiveDisplay, StepDisplay, counted, make_display, step_display

CANDIDATE = Candidate("edsr", {"num_feat": 16, "teacher_share": 0.5}, EDSRConfig(2, 16, 8), Recipe(), 10**9, 49603)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that goes on when it is told."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

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
    assert shown.time_left() == "1m00s gone"
    shown.on_trials_left(4)
    clock(10)
    shown.on_trial_complete(20, CANDIDATE, 30.0)
    assert shown.time_left() == "1m10s gone, about 30s left"
    shown.on_trials_left(1)  # another session has ended two
    assert shown.time_left() == "1m10s gone, about 3s left"
    assert shown.time_left(done=0.5) == "1m10s gone, about 1s left"


def test_a_trial_that_is_tried_again_counts_once(clock: Callable[[float], None]) -> None:
    shown, _ = plain(2)
    shown.on_trials_left(2)
    clock(10)
    shown.on_trial_fail(0, CANDIDATE, "its worker died")
    shown.on_trials_left(2)
    assert shown.left == 2
    shown.on_trial_complete(1, CANDIDATE, 30.0)
    assert shown.time_left() == "10s gone, about 10s left"


def test_the_live_display_has_a_line_for_each_running_trial() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with LiveDisplay(console, trials=8, steps=100) as live:
        live.on_trials_left(8)
        for trial in (3, 4):
            live.on_trial_start(trial, CANDIDATE, 30.0 + trial)
            live.on_training_start(trial, CANDIDATE)
        live.on_step(4, 50)
        live.on_rung(4, 50, 35.25)
        live.on_step(5, 70)  # goes on from its last rung
        text = drawn(live)
        for part in ("trial   3", "step 0/100", "33.00 dB before", "trial   4", "step 50/100", "35.25 dB so far"):
            assert part in text
        assert "trial   5" in text
        assert "trial 0/8" in text
        live.on_trial_complete(4, CANDIDATE, 36.0)
        live.on_trial_pruned(5, CANDIDATE, "dominated")
        text = drawn(live)
        assert "trial   4" not in text
        assert "trial   5" not in text
        assert "trial 2/8" in text
        assert "best 36.00 dB" in text


def test_the_live_display_shows_what_is_done_for_a_trial_beside_its_training(clock: Callable[[float], None]) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with LiveDisplay(console, trials=8, steps=100) as live:
        live.on_part(3, CANDIDATE, "making the student", 0.0)
        clock(6)
        assert "trial   3  edsr" in drawn(live)
        assert "making the student, 6s gone" in drawn(live)
        live.on_trial_start(3, CANDIDATE, 30.0)
        assert "making" not in drawn(live)
        live.on_step(3, 100)
        live.on_part(3, CANDIDATE, "scoring", 0.4)
        assert "scoring, 40%" in drawn(live)
        live.on_trial_complete(3, CANDIDATE, 31.0)
        assert "scoring" not in drawn(live)


def test_plain_lines_tell_how_far_a_long_scoring_is(clock: Callable[[float], None]) -> None:
    paper = io.StringIO()
    shown = Display(Console(file=paper, width=200), trials=8, steps=100)
    for image in range(20):
        shown.on_part(3, CANDIDATE, "scoring", image / 20)
        clock(1.0)
    assert re.findall(r"scoring: (\d+)%", paper.getvalue()) == ["30", "60", "90"]


def drawn(live: LiveDisplay, width: int = 120) -> str:
    paper = Console(file=io.StringIO(), width=width)
    with paper.capture() as captured:
        paper.print(live._render())
    return captured.get()


@pytest.mark.parametrize("name", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_what_is_no_terminal_gets_plain_lines_whatever_is_forced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """As in a notebook's kernel, where each drawing would be an output of its own."""
    monkeypatch.setenv(name, "1")
    display = make_display(2, 10)
    assert type(display) is Display
    with display:
        display.on_stage("opening")
        display.on_trial_start(1, CANDIDATE, 20.0)
        for step in range(10):
            display.on_step(1, step)
    with step_display(100) as steps:
        for step in range(100):
            steps.step(step + 1)
    list(counted(range(100), 100, "images"))
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "\r" not in said
    assert len(said.splitlines()) <= 2 + StepDisplay.LINES


def test_quiet_shows_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    with make_display(2, 10, quiet=True) as shown:
        shown.on_stage("decoding images")
        shown.on_trial_complete(0, CANDIDATE, 30.0)
    with step_display(2, quiet=True) as steps:
        steps.log("a line")
        steps.step(1)
    assert capsys.readouterr() == ("", "")


def test_a_quiet_prune_prints_its_result_alone(call: Call, teacher_file: Path, photos: Path) -> None:
    quiet = call("prune", teacher_file, "--train", photos, "--val", photos, "--steps", "4", "-q")
    assert (quiet.code, quiet.err) == (0, "")
    assert "Suggested by the densities" in quiet.out


def test_a_terminal_that_cannot_draw_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
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


def test_one_large_image_in_a_pipe_tells_its_tiles(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    images = counted(range(2), 2, "scoring large")
    for _ in images:
        for tile in range(20):
            clock(1.0)
            images.part(tile + 1, 20)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "scoring large: 0/2, 55% of the next",
        "scoring large: 1/2, 10% of the next",
        "scoring large: 1/2, 65% of the next",
    ]


def test_the_live_display_shows_trial_step_psnr_flops_and_time() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, highlight=False, width=120)
    values = {"num_feat": 16, "teacher_share": 0.5}
    candidate = Candidate("edsr", values, EDSRConfig(2, 16, 8), Recipe(), 11_650_000_000, 49603)
    with LiveDisplay(console, trials=4, steps=100) as live:
        live.on_stage("decoding images")
        live.on_prepared(["teacher  x2"])
        live.on_trial_start(3, candidate, 35.5)
        live.on_training_start(3, candidate)
        live.on_step(3, 33)
        live.on_rung(3, 33, 36.25)
        console.print(live._render())
        live.on_trial_complete(3, candidate, 36.5)
        live.on_trial_pruned(4, candidate, "dominated")
        live.on_trial_fail(5, candidate, "the loss is nan")
    shown = screen.getvalue()
    for part in (
        "trial   3",
        "num_feat=16",
        "11.65G FLOPs",
        "36.25 dB so far",
        "step 33/100",
        "left",
        "teacher_share=0.5",
    ):
        assert part in shown
    assert "36.50 dB" in shown
    assert "stopped: dominated" in shown
    assert "FAILED: the loss is nan" in shown


@pytest.mark.parametrize("width", [60, 80, 100])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, highlight=False, color_system=None, width=width)
    with LiveDisplay(console, trials=24, steps=300) as live:
        live.on_prepared(["images      8 of scikit-image's photographs to train on, 4 of scikit-image's to choose by"])
        live.on_trials_left(24)
        live.on_trial_complete(0, CANDIDATE, 33.35)
        live.on_trial_pruned(1, CANDIDATE, "9th of 10 by PSNR for its FLOPs; the better half goes on, as in the paper")
        live.on_trial_start(2, CANDIDATE, 33.0)
        bars = drawn(live, width)
    lines = [line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).splitlines() if line.strip()]
    assert max(map(len, lines)) <= width
    assert max(map(len, bars.splitlines())) <= width
    assert len(bars.splitlines()) == 3  # the trial, its bar, and the search's
    assert "best 33.35 dB" in bars
    assert any(line.endswith("photographs") or "    " in line[:4] for line in lines)  # broken between words
