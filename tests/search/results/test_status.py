"""`autocompress status`: of a run that is over, of one that goes on, of one that was killed, of none."""

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import fake_trials
from helpers.fake_trials import FakeSetup
from helpers.programs import finish, start, wait_for
from typer.testing import CliRunner

from autocompress.cli import app
from autocompress.errors import RunError
from autocompress.search import RunFolder, SearchCallback, Settings
from autocompress.search.results.rows import front_rows, pick
from autocompress.search.results.status import status
from autocompress.search.space.search_space import Candidate

Make = Callable[..., Settings]


def files(run: RunFolder) -> dict[Path, int]:
    """What would change if anything were written."""
    return {path: path.stat().st_mtime_ns for path in run.path.rglob("*.json")} | {
        run.database: run.database.stat().st_mtime_ns
    }


def told(folder: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["status", str(folder), *options])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_of_a_finished_run(small: Make) -> None:
    fake_trials.run(small(trials=14, steps=300), FakeSetup(raises_at=100), here=True)  # stops some from the ninth on
    run = RunFolder(small().folder)
    before = files(run)
    about = status(run)
    assert files(run) == before
    counts = about["trials"]
    assert counts["wanted"] == 14
    assert counts["failed"] == 1
    assert counts["stopped"] > 0
    assert counts["finished"] + counts["stopped"] == 13
    assert counts["running"] == counts["waiting"] == about["sessions"] == 0
    best = max(run.students(), key=lambda student: float(student.metrics["psnr_y"]))
    assert (about["best"]["trial"], about["best"]["flops"]) == (best.trial, best.flops)
    assert about["times"]["sessions"] == 1
    assert about["times"]["total"] == pytest.approx(run.times[0].total)
    assert any(trial["reason"] == "the fake trial raised" for trial in about["ended_early"])
    assert json.loads(told(run.path, "--json"))["trials"] == counts
    said = told(run.path, "--all")
    assert f"{run.path}: finished, 14 of 14 trials" in said
    assert f"trials   14: {counts['finished']} finished, {counts['stopped']} stopped, 1 failed" in said
    assert said.count("the better half goes on") == counts["stopped"]
    assert "training" not in told(run.path).split("time")[0]


def test_where_the_time_goes_is_seen_while_it_goes(small: Make) -> None:
    """Of each session once, however often it is kept; at the end as the session itself counts it."""
    totals: list[list[float]] = []

    class Looking(SearchCallback):
        """Looks when a trial has come to its end."""

        def on_trial_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
            about = status(run)["times"]
            totals.append([about["sessions"], about["total"], sum(about["parts"].values())])

    own: dict[str, Any] = {"callback": Looking(), "clock": itertools.count(step=10).__next__}  # each look is late
    run = RunFolder(small().folder)
    fake_trials.run(small(trials=3), FakeSetup(seconds=0.05), here=True, **own)
    assert [sessions for sessions, *_ in totals] == [1] * len(totals)
    assert 0 < totals[0][1] < totals[-1][1] < run.times[0].total
    assert all(total == pytest.approx(parts, abs=0.1) for _, total, parts in totals)
    fake_trials.run(small(trials=6), FakeSetup(seconds=0.05), here=True, **own)
    assert len(totals) > 3
    assert [sessions for sessions, *_ in totals[3:]] == [2] * len(totals[3:])
    assert len(run.times) == len({session.session for session in run.times}) == 2


@pytest.mark.slow
def test_what_trials_take_is_said_of_workers_too(small: Make) -> None:
    fake_trials.run(small(trials=2, trial_timeout=60.0), FakeSetup(seconds=0.1))
    said = told(small().folder)
    assert " in 1 session: " in said
    assert re.search(r"\n +of the finished trials, \S+ in all: training 100%\n", said)


def test_the_log_of_a_failed_trial_is_named(small: Make) -> None:
    """And that of one that was stopped is not: there is nothing more to say."""
    fake_trials.run(small(trials=6), FakeSetup(raises_at=33), here=True)
    run = RunFolder(small().folder)
    failed = next(trial for trial in status(run)["ended_early"] if trial["state"] == "failed")
    assert Path(failed["log"]) == run.trial(failed["trial"]) / "log.txt"
    assert "failed: the fake trial raised" in Path(failed["log"]).read_text()
    said = told(run.path, "--all")
    assert f"failed   trial {failed['trial']}: the fake trial raised ({failed['log']} says more)" in said
    assert said.count("log.txt") == 1


def test_the_best_is_the_pick_within_a_lower_budget(small: Make) -> None:
    fake_trials.run(small(), FakeSetup(), here=True)
    run = RunFolder(small().folder)
    before = status(run)["best"]["trial"]
    assert before == pick(front_rows(run))["trial"]
    largest = max(student.flops for student in run.students())
    lower = {"budget_flops": largest - 1, "extend": True}
    fake_trials.run(small(**lower), FakeSetup(), here=True)
    assert status(run)["best"]["trial"] == pick(front_rows(run))["trial"] != before
    config = run.config.to_dict()
    config["search"]["budget"] = {"flops": None, "params": 1}
    (run.path / "config.json").write_text(json.dumps(config))
    assert status(run)["best"] is None
    assert "\nbest" not in told(run.path)


@pytest.mark.slow
def test_of_a_run_that_goes_on_and_is_killed(small: Make) -> None:
    settings = small(trials=6)
    run = RunFolder(settings.folder)
    program = start(settings, FakeSetup(seconds=6.0))
    wait_for(run, 1)
    about: dict[str, Any] = {"running": []}
    while not about["running"] or about["running"][0]["step"] in (None, 0):
        about = status(run)
    assert about["sessions"] == 1
    assert about["running"][0]["step"] in (33, 100)
    assert about["running"][0]["psnr_y"] > 20
    assert about["trials"]["running"] == 1
    assert sum(about["trials"].values()) == 2 * about["trials"]["wanted"]
    assert "1 session at work" in told(run.path)
    assert "\ntime     " in told(run.path)
    program.kill()
    program.communicate()
    about = status(run)
    assert (about["sessions"], about["trials"]["running"]) == (0, 0)
    assert about["times"]["sessions"] == 1
    assert about["times"]["total"] > 1
    assert finish(start(settings, FakeSetup())) == "all 6 trials are done"


def test_of_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder"):
        told(tmp_path / "none")
    with pytest.raises(RunError, match=r"no config\.json"):
        told(tmp_path)
