"""Searches and workers killed at random moments, a full disk: nothing is lost, done twice or torn.

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
from programs import check_whole, end_of, finish, start, trials_in
from stub import StubSetup

from autocompress.search import RunFolder, Settings

pytestmark = pytest.mark.slow

Make = Callable[..., Settings]


def begun(run: RunFolder) -> int:
    """How many lines there are in the logs of trials: it grows whenever something happens."""
    return sum(file.read_text().count("\n") for file in run.path.glob("trials/*/log.txt"))


def wait_for_more(program: "subprocess.Popen[str]", run: RunFolder) -> None:
    before = begun(run)
    while program.poll() is None and begun(run) == before:
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    """The processes that work for a search, and not those that help them."""
    found = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it ends just now
            for child in listed.read_text().split():
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return found


def kill_until_done(settings: Settings, setup: StubSetup, kills: int, seed: int) -> int:
    """Kill so many searches at random moments, each soon after it has begun, then let the last one end."""
    chance = random.Random(seed)
    run = RunFolder(settings.folder)
    for count in range(kills):
        program = start(settings, setup)
        if chance.random() < 0.8:
            wait_for_more(program, run)
        time.sleep(chance.uniform(0, 0.6))
        program.kill()
        program.communicate()
        if program.returncode == 0:
            return count
    finish(start(settings, setup))
    return kills


@pytest.mark.parametrize(("workers", "kills", "seed"), [(1, 11, 1), (1, 11, 2), (2, 10, 3)])
def test_a_killed_search_loses_nothing(small: Make, tmp_path: Path, workers: int, kills: int, seed: int) -> None:
    setup = StubSetup(seconds=0.3)
    wanted: dict[str, Any] = {"trials": 20, "workers": workers, "seed": seed}
    settings = small(out=tmp_path / "killed", **wanted)
    done = kill_until_done(settings, setup, kills, seed)
    run = RunFolder(settings.folder)
    trials = trials_in(run)
    print(f"{done} kills, {len(trials)} trials")
    assert done == kills
    check_whole(run, trials, 20)
    if workers == 1:
        whole = small(out=tmp_path / "whole", **wanted)
        finish(start(whole, StubSetup()))
        undisturbed = RunFolder(whole.folder)
        assert end_of(run, trials) == end_of(undisturbed, trials_in(undisturbed))


def test_killed_workers_lose_nothing(small: Make, tmp_path: Path) -> None:
    """Twenty of them, of two at a time; a config that loses three is given up, and counts as done."""
    chance = random.Random(4)
    killed = 0
    for count in range(10):
        if killed >= 20:
            break
        settings = small(trials=16, workers=2, seed=count, out=tmp_path / f"run{count}")
        killed += kill_workers(settings, chance)
        run = RunFolder(settings.folder)
        trials = trials_in(run)
        print(f"{killed} workers killed, {len(trials)} trials")
        check_whole(run, trials, 16)
    assert killed >= 20


def kill_workers(settings: Settings, chance: random.Random) -> int:
    """Of one search, from its first trial to its end; returns how many."""
    killed = 0
    program = start(settings, StubSetup(seconds=2.0))
    wait_for_more(program, RunFolder(settings.folder))
    while program.poll() is None:
        time.sleep(chance.uniform(0.5, 3.0))
        workers = children(program.pid) if program.poll() is None else []
        if workers:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
                killed += 1
    _, errors = program.communicate(timeout=240)
    if program.returncode:  # three in a row were killed before they could begin, which ends a search that says so
        assert "a worker ended before it could begin" in errors, errors
        finish(start(settings, StubSetup()))
    return killed


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
    program = start(settings, StubSetup(seconds=1.0))
    wait_for_more(program, run)
    with (little_room / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))
    _, errors = program.communicate(timeout=60)
    assert program.returncode == 1, errors
    assert errors.count("\n") == 1
    assert "the same command goes on" in errors
    (little_room / "ballast").unlink()
    finish(start(settings, StubSetup()))
    check_whole(run, trials_in(run), 8)
