"""Parts of a run that are gone, replaced, or another run's: said, and made again or refused."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers.small_search import Recorder, run_search, trials_of
from optuna.trial import TrialState

import autocompress
from autocompress.errors import CheckpointError, RunError
from autocompress.search import RunFolder, Settings
from autocompress.search.results.front import pareto

Make = Callable[..., Settings]


@pytest.fixture
def run(settings: Make) -> RunFolder:
    return run_search(settings(trials=4))[0]


def again(settings: Make, **changed: Any) -> tuple[str, list[str]]:
    recorder = Recorder()
    outcome = run_search(settings(trials=4, **changed), recorder)[1]
    return outcome.reason, [fact for fact in recorder.facts if fact.startswith("study ")]


@pytest.mark.parametrize("gone", [[1], [0, 1, 2, 3]])
def test_students_that_are_gone_are_trained_again(settings: Make, run: RunFolder, gone: list[int]) -> None:
    for number in gone:
        shutil.rmtree(run.trial(number))
    kept = {student.trial: student.file.read_bytes() for student in run.students()}
    reason, facts = again(settings)
    assert reason == "all 4 trials are done"
    listed = ", ".join(map(str, gone))
    assert facts == [
        f"study       the students of trials {listed} are gone; study.db is now called study.db.before, and made again "
        f"from {4 - len(gone)} students"
    ]
    assert sum(trial.state == TrialState.COMPLETE for trial in trials_of(run)) == len(run.students()) == 4
    assert not pareto(run).empty
    for number, content in kept.items():
        assert (run.trial(number) / "student.safetensors").read_bytes() == content
    assert again(settings) == ("all 4 trials are done", [])


def test_the_study_of_another_run_is_set_aside(settings: Make, run: RunFolder, tmp_path: Path) -> None:
    other, _ = run_search(settings(trials=4, seed=5, out=tmp_path / "other"))
    before = {student.trial: student.metrics for student in run.students()}
    for file in run.path.glob("study.db*"):
        file.unlink()
    with closing(sqlite3.connect(other.database)) as source, closing(sqlite3.connect(run.database)) as target:
        source.backup(target)
    reason, facts = again(settings)
    assert reason == "all 4 trials are done"
    assert len(facts) == 1
    assert (
        "study.db was of another run (other) and is now called study.db.other; made again from 4 students" in facts[0]
    )
    assert {student.trial: student.metrics for student in run.students()} == before


def test_replaced_weights_are_noticed(settings: Make, run: RunFolder) -> None:
    first, second = (run.trial(number) / "student.safetensors" for number in (0, 1))
    content = first.read_bytes()
    first.write_bytes(content[:-4] + b"\0\0\0\1")
    for read in (lambda: again(settings), lambda: autocompress.load(first)):
        with pytest.raises((RunError, CheckpointError), match="replaced or damaged"):
            read()
    first.write_bytes(content)
    second.unlink()
    with pytest.raises(
        RunError, match=r"0001/student\.safetensors: missing, .* remove the folder .*0001, and the same"
    ):
        again(settings)
    shutil.rmtree(second.parent)
    assert again(settings)[0] == "all 4 trials are done"


def test_weights_of_older_runs_have_no_digest(settings: Make, run: RunFolder) -> None:
    for student in run.students():
        side = student.file.with_suffix(".json")
        content = json.loads(side.read_text())
        assert len(content.pop("weights")) == 1
        side.write_text(json.dumps(content))
    assert again(settings) == ("all 4 trials are done", [])


def test_a_study_in_a_storage_of_its_own_is_left_alone(settings: Make, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'all.db'}"
    run, _ = run_search(settings(trials=4, storage=url))
    shutil.rmtree(run.trial(2))
    with pytest.raises(RunError, match=r"all\.db, the students of trials 2 are gone; restore their folders, or give"):
        again(settings, storage=url)
