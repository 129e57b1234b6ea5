"""A study that is gone or damaged, and a run that goes on within another budget."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import fake_trials
from helpers.fake_trials import FakeSetup
from helpers.programs import config_of, end_of, finish, start, trials_in
from helpers.small_search import BUDGET
from optuna.trial import TrialState

from autocompress.errors import RunError
from autocompress.search import RunFolder, SearchCallback, Settings
from autocompress.search.results.front import pareto
from autocompress.search.results.status import status

Make = Callable[..., Settings]


class Listening(SearchCallback):
    def __init__(self) -> None:
        self.facts: list[str] = []

    def on_prepared(self, facts: list[str]) -> None:
        self.facts = facts


def lose(run: RunFolder) -> None:
    for file in run.path.glob("study.db*"):
        file.unlink()


def damage(run: RunFolder) -> None:
    for file in run.path.glob("study.db-*"):
        file.unlink()
    run.database.write_bytes(b"no database at all " * 500)


def tear(run: RunFolder) -> None:
    """Its beginning is whole."""
    for file in run.path.glob("study.db-*"):
        file.unlink()
    content = run.database.read_bytes()
    run.database.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lose, "study.db is gone"),
        pytest.param(damage, "study.db.damaged", marks=pytest.mark.slow),
        pytest.param(tear, "study.db.damaged", marks=pytest.mark.slow),
    ],
)
def test_a_study_is_made_again_from_its_students(small: Make, harm: Callable[[RunFolder], None], said: str) -> None:
    """Those that were stopped are lost, and their number is tried again; no student is made twice."""
    wanted = small(trials=8)
    fake_trials.run(wanted, FakeSetup(), here=True)
    run = RunFolder(wanted.folder)
    before = {trial.number: trial for trial in trials_in(run) if trial.state == TrialState.COMPLETE}
    written = {path: path.stat().st_mtime_ns for path in run.path.glob("trials/*/student.*")}
    harm(run)
    listening = Listening()
    outcome = fake_trials.run(wanted, FakeSetup(), here=True, callback=listening)
    assert outcome.reason == "all 8 trials are done"
    [line] = [fact for fact in listening.facts if "study.db" in fact]
    assert said in line
    assert f"made again from {len(before)} students" in line
    trials = trials_in(run)
    for number, trial in before.items():
        again = trials[number]
        assert (again.params, again.values, again.state) == (trial.params, trial.values, trial.state)
        assert {name: trial.user_attrs[name] for name in ("flops", "params", "psnr_y_at_step_0")}.items() <= (
            again.user_attrs.items()
        )
    assert {path: path.stat().st_mtime_ns for path in written} == written
    done = [config_of(trial) for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(done) == len(set(done)) == 8
    lost = [trial for trial in trials if "lost" in trial.user_attrs]
    assert {trial.state for trial in lost} <= {TrialState.FAIL}
    assert status(run)["trials"]["failed"] == 0
    assert fake_trials.run(wanted, FakeSetup(), here=True).reason == "all 8 trials are done"
    assert len(trials_in(run)) == len(trials)


@pytest.mark.slow
def test_a_study_that_is_gone_from_its_storage_is_made_again(small: Make, tmp_path: Path) -> None:
    """And the user is told, once; what another run keeps there stays."""
    url = f"sqlite:///{tmp_path / 'all.db'}"
    wanted, other = small(trials=12, steps=300, storage=url), small(trials=2, storage=url, out=tmp_path / "other")
    finish(start(wanted, FakeSetup()))
    run = RunFolder(wanted.folder)
    before = end_of(run, trials_in(run))
    written = {path: path.stat().st_mtime_ns for path in run.path.glob("trials/*/student.*")}
    for file in tmp_path.glob("all.db*"):
        file.unlink()
    fake_trials.run(other, FakeSetup(), here=True)
    beside = end_of(RunFolder(other.folder), trials_in(RunFolder(other.folder)))
    for told in (1, 0):
        listening = Listening()
        outcome = fake_trials.run(wanted, FakeSetup(), here=True, callback=listening)
        assert outcome.reason == "all 12 trials are done"
        lines = [fact for fact in listening.facts if fact.startswith("study ")]
        assert lines == [f"study       gone from {url}; made again from {len(written) // 2} students"][:told]
    students = {one for one in before if one[-1] != "PRUNED"}
    assert 0 < len(students) < 12
    assert students <= end_of(run, trials_in(run))
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert end_of(RunFolder(other.folder), trials_in(RunFolder(other.folder))) == beside


def test_students_of_an_older_version_are_not_written_over(small: Make) -> None:
    fake_trials.run(small(trials=2), FakeSetup(), here=True)
    run = RunFolder(small().folder)
    for file in run.path.glob("trials/*/student.json"):
        content = json.loads(file.read_text())
        del content["provenance"]["point"]
        file.write_text(json.dumps(content))
    lose(run)
    with pytest.raises(RunError, match="written by an older version"):
        fake_trials.run(small(trials=2), FakeSetup(), here=True)


def test_another_budget_needs_leave(small: Make) -> None:
    """And nothing else may differ; the front is then of what is within it."""
    fake_trials.run(small(trials=6), FakeSetup(), here=True)
    run = RunFolder(small().folder)
    larger: dict[str, Any] = {"budget_flops": 2 * BUDGET, "trials": 12}
    with pytest.raises(RunError, match=re.escape(f"budget.flops was {BUDGET} and is now {2 * BUDGET}") + ".*--extend"):
        fake_trials.run(small(**larger), FakeSetup(), here=True)
    with pytest.raises(RunError, match=r"seed was 0 and is now 1\); give another folder with --out$"):
        fake_trials.run(small(**larger, seed=1, extend=True), FakeSetup(), here=True)
    assert run.config.search.budget.flops == BUDGET
    assert fake_trials.run(small(**larger, extend=True), FakeSetup(), here=True).reason == "all 12 trials are done"
    assert run.config.search.budget.flops == 2 * BUDGET
    assert max(trial.user_attrs["flops"] for trial in trials_in(run)) > BUDGET
    # from now on this is its budget
    assert fake_trials.run(small(**larger), FakeSetup(), here=True).reason == "all 12 trials are done"
    smallest = min(student.flops for student in run.students())
    fake_trials.run(small(budget_flops=smallest, trials=12, extend=True), FakeSetup(), here=True)
    assert set(pareto(run)["flops"]) == {smallest}
    assert not list(run.path.rglob("*.tmp"))
