"""Searches, workers and databases killed at random moments, a full disk: nothing is lost, done twice or torn.

Slow: deselected unless asked for by `-m slow`.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from helpers.fake_trials import FakeSetup
from helpers.programs import check_whole, end_of, finish, start, start_real, trials_in
from helpers.servers import Server, children_of, postgresql, redis
from optuna.trial import FrozenTrial, TrialState

from autocompress.search import RunFolder, Settings
from autocompress.search.run.record import AT_STEP, TrialRecord
from autocompress.search.run.study import ordinal, origin

__all__ = ["postgresql", "redis"]  # fixtures
pytestmark = pytest.mark.slow

Make = Callable[..., Settings]
Program = subprocess.Popen[str]
SCORED = f"{AT_STEP}0"
STOPPING: dict[str, Any] = {"trials": 20, "steps": 300}  # with the fake trials' rungs, so that some trials are stopped


def begun(run: RunFolder, word: str = "\n") -> int:
    """How many lines (or such words) there are in the logs of trials: it grows whenever something happens."""
    return sum(file.read_text().count(word) for file in run.path.glob("trials/*/log.txt"))


def wait_for_more(program: Program, run: RunFolder, word: str = "\n") -> None:
    before = begun(run, word)
    while program.poll() is None and begun(run, word) == before:
        time.sleep(0.01)


def workers_of(pid: int) -> list[int]:
    """The processes that work for a search, and not those that help them."""
    found = []
    for child in children_of(pid):
        with suppress(OSError):  # it ends just now
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def wait_at_random(program: Program, run: RunFolder, chance: random.Random, longest: float) -> None:
    """Mostly until something has happened, and then some seconds more."""
    if chance.random() < 0.8:
        wait_for_more(program, run)
    time.sleep(chance.uniform(0, longest))


def wait_while_it_trains(program: Program, run: RunFolder, chance: random.Random) -> None:
    """Until a student has been scored, and then some seconds more: workers need some to begin."""
    wait_for_more(program, run, " dB after")
    time.sleep(chance.uniform(0, 8))


def kill_until_done(
    begin: Callable[[], Program],
    run: RunFolder,
    kills: int,
    seed: int,
    wait: Callable[[Program, RunFolder, random.Random], None] = lambda *known: wait_at_random(*known, longest=0.6),
) -> int:
    """Kill so many searches at random moments, each soon after it has begun, then let the last one end."""
    chance = random.Random(seed)
    for count in range(kills):
        program = begin()
        wait(program, run, chance)
        program.kill()
        program.communicate()
        if program.returncode == 0:
            return count
    finish(begin(), 600)
    return kills


@pytest.mark.parametrize(("workers", "kills", "seed"), [(1, 11, 1), (1, 11, 2), (2, 10, 3)])
def test_a_killed_search_loses_nothing(small: Make, tmp_path: Path, workers: int, kills: int, seed: int) -> None:
    wanted = STOPPING | {"workers": workers, "seed": seed}
    settings = small(out=tmp_path / "killed", **wanted)
    run = RunFolder(settings.folder)
    done = kill_until_done(lambda: start(settings, FakeSetup(seconds=0.3)), run, kills, seed)
    trials = trials_in(run)
    print(f"{done} searches killed, {check_whole(run, trials, 20)}")
    assert done == kills
    if workers == 1:
        assert end_of(run, trials) == undisturbed(small(out=tmp_path / "whole", **wanted))


def undisturbed(settings: Settings) -> set[tuple[int, str, str, str]]:
    """The end of a search of which some trials are stopped."""
    finish(start(settings, FakeSetup()))
    run = RunFolder(settings.folder)
    found = end_of(run, trials_in(run))
    assert 0 < [how for *_, how in found].count("PRUNED") < len(found)
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_search_that_trains_loses_nothing(small: Make, tmp_path: Path, workers: int) -> None:
    """`autocompress search` itself: the same students, to the last bit, as of a search that nobody killed."""
    wanted: dict[str, Any] = {"trials": 10, "workers": workers, "steps": 240}  # long enough to be killed three times
    settings = small(out=tmp_path / "killed", **wanted)
    run = RunFolder(settings.folder)
    done = kill_until_done(lambda: start_real(settings), run, 3, workers, wait_while_it_trains)
    trials = trials_in(run)
    print(f"{done} searches with {workers} workers that train killed, {check_whole(run, trials, 10)}")
    assert done == 3
    assert any(SCORED in trial.user_attrs for trial in trials if trial.state == TrialState.FAIL)  # killed as it trained
    whole = small(out=tmp_path / "whole", **wanted)
    finish(start_real(whole), 600)
    other = RunFolder(whole.folder)
    if workers == 1:
        assert end_of(run, trials) == end_of(other, trials_in(other))
        assert weights(run, trials) == weights(other, trials_in(other))
    else:  # what comes after the first points depends on which worker is first
        first = first_points(run, trials)
        assert len(first) == sum(TrialRecord.of(trial).start is not None for trial in trials) > 0
        assert first == first_points(other, trials_in(other))


def weights(run: RunFolder, trials: list[FrozenTrial]) -> dict[int, bytes]:
    """By place, the file of each student."""
    return {
        ordinal(trial, trials): (run.trial(trial.number) / "student.safetensors").read_bytes()
        for trial in trials
        if trial.state == TrialState.COMPLETE
    }


def first_points(run: RunFolder, trials: list[FrozenTrial]) -> dict[int, bytes]:
    """The students of those that are the same whatever came before; none of them is stopped."""
    places = {ordinal(trial, trials) for trial in trials if TrialRecord.of(trials[origin(trial)]).start is not None}
    return {place: student for place, student in weights(run, trials).items() if place in places}


def test_killed_workers_lose_nothing(small: Make, tmp_path: Path) -> None:
    """Twenty of them, of two at a time; a config that loses three is given up, and counts as done."""
    chance = random.Random(4)
    killed = 0
    for count in range(10):
        if killed >= 20:
            break
        settings = small(trials=16, steps=300, workers=2, seed=count, out=tmp_path / f"run{count}")
        killed += kill_workers(settings, chance)
        run = RunFolder(settings.folder)
        print(f"{killed} workers killed, {check_whole(run, trials_in(run), 16)}")
    assert killed >= 20


def kill_workers(settings: Settings, chance: random.Random) -> int:
    """Of one search, from its first trial to its end; returns how many."""
    killed = 0
    program = start(settings, FakeSetup(seconds=2.0))
    wait_for_more(program, RunFolder(settings.folder))
    while program.poll() is None:
        time.sleep(chance.uniform(0.5, 3.0))
        workers = workers_of(program.pid) if program.poll() is None else []
        if workers:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
                killed += 1
    _, errors = program.communicate(timeout=240)
    if program.returncode:  # three in a row were killed before they could begin, which ends a search that says so
        assert "a worker ended before it could begin" in errors, errors
        finish(start(settings, FakeSetup()))
    return killed


@pytest.mark.parametrize(("workers", "kills", "seed"), [(1, 6, 5), (2, 4, 6)])
@pytest.mark.parametrize("kind", ["postgresql", "redis"])
def test_a_killed_database_loses_nothing(
    small: Make, tmp_path: Path, kind: str, workers: int, kills: int, seed: int, request: pytest.FixtureRequest
) -> None:
    """Each time the search says so in one line, and the same command goes on."""
    server: Server = request.getfixturevalue(kind)
    chance = random.Random(seed)
    wanted = STOPPING | {"workers": workers, "seed": seed}
    settings = small(out=tmp_path / "killed", storage=server.url, **wanted)
    run = RunFolder(settings.folder)
    for _ in range(kills):
        program = start(settings, FakeSetup(seconds=0.6))
        wait_at_random(program, run, chance, 1.5)
        server.kill()
        _, errors = program.communicate(timeout=60)
        assert program.returncode in (1, 2), errors
        assert errors.count("\n") == 1, errors
        assert "secret" not in errors
        server.start()
    finish(start(settings, FakeSetup()))
    trials = trials_in(run, server.url)
    print(f"{kills} times {kind} killed under {workers} workers, {check_whole(run, trials, 20)}")
    if workers == 1:
        assert end_of(run, trials) == undisturbed(small(out=tmp_path / "whole", **wanted))


@pytest.fixture
def little_room(tmp_path: Path) -> Any:
    """A file system of a few MiB."""
    folder = tmp_path / "full"
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_ends_a_search_that_can_go_on(small: Make, little_room: Path, workers: int) -> None:
    settings = small(out=little_room / "run", trials=8, workers=workers)
    run = RunFolder(settings.folder)
    program = start(settings, FakeSetup(seconds=1.0))
    wait_for_more(program, run)
    with (little_room / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))
    _, errors = program.communicate(timeout=60)
    assert program.returncode == 1, errors
    assert errors.count("\n") == 1
    assert "the same command goes on" in errors
    (little_room / "ballast").unlink()
    finish(start(settings, FakeSetup()))
    check_whole(run, trials_in(run), 8)
