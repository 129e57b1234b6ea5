"""Refining that is killed: after every write, and, as programs with workers, at any time."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from helpers.programs import PYTHON, descendants
from helpers.refined_runs import check_refined, psnr, scores_of_weights
from helpers.small_search import run_search

from autocompress import search
from autocompress.io import atomic
from autocompress.search import RunFolder, SearchCallback, Settings
from autocompress.search.results.front import pareto

COMMAND = """
from pathlib import Path
from autocompress.search import SearchCallback, refine
if __name__ == "__main__":
    print(refine(Path({path!r}), SearchCallback(), {steps}, {where}, save_every={save_every})[1].reason)
"""


def refine_here(run: RunFolder, steps: int) -> str:
    return search.refine(run.path, SearchCallback(), steps, save_every=0.0)[1].reason


@pytest.fixture
def small_run(settings: Callable[..., Settings]) -> RunFolder:
    """Three students, none of which overtakes another: they are refined in any order."""
    return run_search(settings(trials=3))[0]


def pieces(run: RunFolder) -> dict[int, list[float]]:
    return {student.trial: [piece.psnr_y for piece in student.provenance.refinements] for student in run.students()}


def killed_at(run: RunFolder, steps: int, write: int) -> bool:
    """Refine in a child process that kills itself at its n-th write of a file, before or after that is there.

    False where it has come to its end before.
    """
    child = os.fork()
    if not child:
        writes, write_atomically = iter(range(10**6)), atomic.write_atomically

        def die_at(path: Path, write_it: Callable[[Path], None]) -> None:
            number = next(writes)
            if number < write // 2:
                write_atomically(path, write_it)
                return
            if write % 2:
                write_atomically(path, write_it)
            os.kill(os.getpid(), signal.SIGKILL)

        atomic.write_atomically = die_at
        try:
            refine_here(run, steps)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Python, about forks
def test_killed_at_every_write_it_ends_as_if_nothing_had_been(small_run: RunFolder, tmp_path: Path) -> None:
    before = psnr(small_run)
    shutil.copytree(small_run.path, tmp_path / "whole")
    whole = RunFolder(tmp_path / "whole")
    refine_here(whole, 6)

    kills = 0
    while killed_at(small_run, 6, kills):
        kills += 1
        weights = scores_of_weights(small_run)
        for student in small_run.students():  # weights may be better than the record says, until that is mended
            assert weights[student.trial] >= student.metrics["psnr_y"] - 1e-4
            assert student.metrics["psnr_y"] >= before[student.trial]
    assert kills > 8
    check_refined(small_run, before)
    assert pieces(small_run) == pieces(whole)


def start(run: RunFolder, steps: int, where: dict[str, Any], save_every: float) -> subprocess.Popen[str]:
    file = run.path.parent / "refine.py"
    file.write_text(COMMAND.format(path=str(run.path), steps=steps, where=where, save_every=save_every))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*PYTHON, str(file)], env=environment, text=True, stdout=subprocess.PIPE)


def wait_until_it_trains(run: RunFolder, program: subprocess.Popen[str]) -> None:
    """Until a state is written, or the program has ended."""
    begun = time.time()
    while program.poll() is None:
        with suppress(FileNotFoundError):  # it is removed at the end of a piece
            if any(state.stat().st_mtime > begun for state in run.path.rglob("refinement.pt")):
                return
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_time_it_ends_well(settings: Callable[..., Settings], workers: int) -> None:
    run, _ = run_search(settings(trials=6))
    before, steps, chance = psnr(run), 600, random.Random(workers)
    first = set(pareto(run)["trial"])
    where = {} if workers == 1 else {"workers": workers}
    for _ in range(6):
        program = start(run, steps, where, save_every=0.1)
        wait_until_it_trains(run, program)
        time.sleep(2 * chance.random())
        for pid in descendants(program.pid) if chance.random() < 0.5 else [program.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        program.communicate()
        time.sleep(1.0)  # workers end with their search
        weights = scores_of_weights(run)
        for student in run.students():
            assert weights[student.trial] >= student.metrics["psnr_y"] - 1e-4
            assert student.metrics["psnr_y"] >= before[student.trial]
    said, _ = start(run, steps, where, save_every=20.0).communicate(timeout=600)
    assert said.strip() == f"every student of the front has trained for {steps} steps more"
    check_refined(run, before)
    on_front = first & set(pareto(run)["trial"])
    assert {student.refined_steps for student in run.students() if student.trial in on_front} == {steps}
