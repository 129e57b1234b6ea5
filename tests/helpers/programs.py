"""Searches over fake trials, as programs and on Ray, and what must hold of a run however often it was killed."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from autocompress.search import RunFolder, Settings
from autocompress.search.run.record import retried
from autocompress.search.run.storage import find_storage
from autocompress.search.run.study import ordinal
from helpers import fake_trials
from helpers.fake_trials import FakeSetup
from helpers.small_search import objectives

PYTHON = [sys.executable, "-W", "error"]
PATIENCE = 600.0  # seconds until a program is taken to hang: another one may have the processors meanwhile
# in float32, whatever a probe would find: that may depend on what else the machine does
COMMAND = """
from autocompress.compute.precision import Precision
from autocompress.search import SearchCallback, Settings, search
if __name__ == "__main__":
    print(search(Settings.from_dict({settings}), SearchCallback(), precision=Precision())[1].reason)
"""


def start(settings: Settings, setup: FakeSetup, *words: str) -> subprocess.Popen[str]:
    """Begin it with fake trials."""
    file = fake_trials.write_settings(settings.folder.parent / f"{settings.folder.name}.json", settings, setup)
    return _begin(fake_trials.__file__, str(file), *words)


def start_real(settings: Settings) -> subprocess.Popen[str]:
    """Begin a search that trains."""
    file = settings.folder.parent / f"{settings.folder.name}.py"
    file.write_text(COMMAND.format(settings=settings.to_dict()))
    return _begin(str(file))


def _begin(*words: str) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*PYTHON, *words], env=environment, text=True, **pipes)


def finish(program: subprocess.Popen[str], seconds: float = PATIENCE) -> str:
    """Its last word; it must end well."""
    said, errors = program.communicate(timeout=seconds)
    assert program.returncode == 0, errors
    return said.strip().splitlines()[-1]


def trials_in(run: RunFolder, storage: str | None = None) -> list[FrozenTrial]:
    """All of the study, wherever it is."""
    place = find_storage(storage, run)
    kept = place.open(run)
    trials = optuna.load_study(study_name=place.study, storage=kept).get_trials()
    kept.remove_session()
    if hasattr(kept, "engine"):
        kept.engine.dispose()
    elif hasattr(kept, "_backend") and hasattr(kept._backend, "engine"):
        kept._backend.engine.dispose()
    return trials


def config_of(trial: FrozenTrial) -> str:
    """What makes it the same training, but for its seed."""
    return json.dumps(trial.params, sort_keys=True)


def check_whole(run: RunFolder, trials: list[FrozenTrial], wanted: int) -> str:
    """Nothing lost, nothing twice, nothing torn; returns that, in numbers."""
    states = Counter(trial.state.name for trial in trials)
    again = retried(trials)
    done = [trial for trial in trials if trial.number not in again]
    open_ = states["RUNNING"] + states["WAITING"]
    lost = max(0, wanted - len(done)) + open_ + sum(not _is_kept(run, trial) for trial in trials)
    doubled = max(0, len(done) - wanted) + sum(times - 1 for times in Counter(map(config_of, done)).values())
    torn = _torn(run)
    found = f"{lost} lost, {doubled} doubled, {len(torn)} torn"
    assert not lost + doubled + len(torn), (found, states, torn)
    return f"{len(trials)} attempts at {wanted} trials, {states['PRUNED']} of them stopped: {found}"


def _is_kept(run: RunFolder, trial: FrozenTrial) -> bool:
    """Whether what the study and the files say of a trial is the same."""
    written = objectives(run, trial.number)
    return written == trial.values and (written is not None) == (trial.state == TrialState.COMPLETE)


def _torn(run: RunFolder) -> list[Path]:
    """Files that are half there, or there for nobody."""
    torn = [path for path in run.path.rglob("*") if path.name.endswith(".tmp") or path.name == "state.pt"]
    for path in run.path.rglob("*.json"):
        try:
            json.loads(path.read_text())
        except ValueError:
            torn.append(path)
    torn += [path for path in run.path.glob("trials/*/student.safetensors") if not path.with_suffix(".json").is_file()]
    if run.database.is_file():
        with closing(sqlite3.connect(run.database)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                torn.append(run.database)
    return torn


def end_of(run: RunFolder, trials: list[FrozenTrial]) -> set[tuple[int, str, str, str]]:
    """What came out: of each config its place, itself, how it was trained and how it ended."""
    again = retried(trials)
    found = set()
    for trial in trials:
        if trial.number in again:
            continue
        student = run.student(trial.number)
        recipe = "" if student is None else json.dumps(student.provenance.recipe, sort_keys=True)
        how = "PRUNED" if trial.values is None else str(trial.values)
        found.add((ordinal(trial, trials), config_of(trial), recipe, how))
    return found


def wait_for(run: RunFolder, trials: int) -> None:
    """Until so many have begun."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if len(list(run.path.glob("trials/*/log.txt"))) >= trials:
            return
        time.sleep(0.05)
    pytest.fail("the search does not begin")


def descendants(root: int) -> list[int]:
    """All processes that `root` and its children have started, and itself; the youngest last."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found
