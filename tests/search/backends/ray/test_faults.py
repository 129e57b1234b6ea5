"""A search on Ray whose workers, or which itself, are killed at random moments: nothing is lost, done twice or torn."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from helpers.fake_trials import FakeSetup, run
from helpers.programs import check_whole, descendants, finish, start, trials_in

from autocompress.search import RunFolder, Settings

pytest.importorskip("ray", reason="Ray is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings

Make = Callable[..., Settings]
TWO: dict[str, Any] = {"backend": "ray", "workers": 2}


@pytest.fixture(autouse=True)
def _fake_trials_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))


def test_a_search_on_ray_that_is_killed_goes_on(small: Make, tmp_path: Path) -> None:
    """By the same command; and by one without Ray."""
    settings = small(out=tmp_path / "run", trials=10, **TWO)
    folder, chance, kills = RunFolder(settings.folder), random.Random(0), 3
    for _ in range(kills):
        program = start(settings, FakeSetup(seconds=2))
        before = _ended(folder)
        while program.poll() is None and _ended(folder) == before:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 2))
        program.kill()
        program.communicate()
    assert _ended(folder) < 10
    assert (folder.path / ".ray").is_dir()
    assert finish(start(small(out=settings.folder, trials=10), FakeSetup())) == "all 10 trials are done"
    trials = trials_in(folder)
    print(f"{kills} kills, {len(trials)} trials")
    check_whole(folder, trials, 10)
    assert not (folder.path / ".ray").exists()


def _ended(folder: RunFolder) -> int:
    logs = [file.read_text() for file in folder.path.glob("trials/*/log.txt")]
    return sum("finished with" in log or "after" in log.rpartition("stop")[2] for log in logs)


def test_workers_on_ray_that_are_killed_lose_nothing(small: Make, tmp_path: Path) -> None:
    settings = small(out=tmp_path / "run", trials=16, **TWO)
    killed, over = list[int](), threading.Event()
    killer = threading.Thread(target=_kill_now_and_then, args=(killed, over))
    killer.start()
    try:
        assert run(settings, FakeSetup(seconds=2)).reason == "all 16 trials are done"
    finally:
        over.set()
        killer.join()
    folder = RunFolder(settings.folder)
    trials = trials_in(folder)
    failed = [trial for trial in trials if trial.state.name == "FAIL"]
    print(f"{len(killed)} kills, {len(trials)} trials, {len(failed)} of them failed")
    assert len(killed) >= 5
    assert 1 <= len(failed) <= len(killed)
    assert {trial.user_attrs["reason"] for trial in failed} == {"its worker's process or node was lost"}
    check_whole(folder, trials, 16)


def _kill_now_and_then(killed: list[int], over: threading.Event) -> None:
    """Up to 8 of the processes that work on trials."""
    chance = random.Random(1)
    while len(killed) < 8 and not over.wait(chance.uniform(0.5, 3)):
        working = [pid for pid in descendants(os.getpid()) if pid not in killed and _works(pid)]
        if working:
            killed.append(chance.choice(working))
            with suppress(ProcessLookupError):
                os.kill(killed[-1], signal.SIGKILL)


def _works(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith((b"ray::Worker.start", b"ray::Worker.resume"))
    except OSError:
        return False
