"""The stub as a program of its own, and what must hold of a run however often it was killed."""

import json
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import optuna
import stub
from optuna.trial import FrozenTrial, TrialState
from stub import StubSetup

from autocompress.search import RunFolder, Settings
from autocompress.search.storage import find_place
from autocompress.search.study import ordinal

PROGRAM = [sys.executable, "-W", "error", stub.__file__]


def start(settings: Settings, setup: StubSetup, *words: str) -> subprocess.Popen[str]:
    """Begin it, in a session of its own."""
    file = stub.write_settings(settings.folder.parent / f"{settings.folder.name}.json", settings, setup)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*PROGRAM, str(file), *words], env=environment, text=True, **pipes)


def finish(program: subprocess.Popen[str], seconds: float = 120) -> str:
    """Its last word; it must end well."""
    said, errors = program.communicate(timeout=seconds)
    assert program.returncode == 0, errors
    return said.strip().splitlines()[-1]


def trials_in(run: RunFolder, storage: str | None = None) -> list[FrozenTrial]:
    """All of the study, wherever it is."""
    place = find_place(storage, run)
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


def check_whole(run: RunFolder, trials: list[FrozenTrial], wanted: int) -> None:
    """Nothing lost, nothing twice, nothing torn."""
    states = Counter(trial.state.name for trial in trials)
    assert not {"RUNNING", "WAITING"} & states.keys(), states
    retried = {trial.user_attrs.get("retry_of") for trial in trials}
    done = [trial for trial in trials if trial.number not in retried]
    assert len(done) == wanted, states
    twice = [config for config, times in Counter(map(config_of, done)).items() if times > 1]
    assert not twice
    for trial in trials:
        written = run.objectives(trial.number)
        assert (written is not None) == (trial.state == TrialState.COMPLETE), trial
        assert written is None or written == trial.values
    torn = [path for path in run.path.rglob("*") if path.name.endswith(".tmp") or path.name == "state.pt"]
    assert not torn
    for path in run.path.rglob("*.json"):
        json.loads(path.read_text())
    for path in run.path.glob("trials/*/student.safetensors"):
        assert path.with_suffix(".json").is_file()


def end_of(run: RunFolder, trials: list[FrozenTrial]) -> set[tuple[int, str, str, str]]:
    """What came out: of each config its place, itself, how it was trained and how it ended."""
    retried = {trial.user_attrs.get("retry_of") for trial in trials}
    found = set()
    for trial in trials:
        if trial.number in retried:
            continue
        student = run.student(trial.number)
        recipe = "" if student is None else json.dumps(student["provenance"]["recipe"], sort_keys=True)
        how = "PRUNED" if trial.values is None else str(trial.values)
        found.add((ordinal(trial, trials), config_of(trial), recipe, how))
    return found
