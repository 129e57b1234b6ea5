"""Several processes on one run, each asking and telling for itself."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import fake_trials
from helpers.fake_trials import FakeSetup
from helpers.programs import check_whole, finish, start, trials_in, wait_for
from helpers.servers import postgresql, redis
from helpers.small_search import BUDGET
from typer.testing import CliRunner

from autocompress.cli import app
from autocompress.errors import InvalidInput, RunError
from autocompress.search import RunFolder, Settings
from autocompress.search.running import recorded_settings

__all__ = ["postgresql", "redis"]  # fixtures

Make = Callable[..., Settings]
TRIALS = 24


def wait_for_sessions(run: RunFolder, storage: str | None, count: int) -> None:
    """Until so many have taken a trial: one that is killed before has none to lose."""
    for _ in range(300):
        if len({trial.user_attrs.get("session") for trial in trials_in(run, storage)} - {None}) >= count:
            return
        time.sleep(0.2)
    pytest.fail(f"no {count} sessions take part")


@pytest.mark.slow
@pytest.mark.parametrize("killed", [None, "search", "joined"])
@pytest.mark.parametrize("kind", ["its own file", "postgresql", "redis"])
def test_four_processes_share_a_run(small: Make, kind: str, killed: str | None, request: pytest.FixtureRequest) -> None:
    storage = None if kind == "its own file" else request.getfixturevalue(kind).url
    wanted, setup = small(trials=TRIALS, steps=300, storage=storage), FakeSetup(seconds=1.0, sessions=4)
    run = RunFolder(wanted.folder)
    programs = {"search": start(wanted, setup)}
    wait_for(run, 1)  # it has been prepared
    programs |= {name: start(wanted, setup, "join") for name in ("joined", "second", "third")}
    if killed is not None:
        wait_for(run, TRIALS // 3)
        wait_for_sessions(run, storage, 4)
        programs[killed].kill()
        programs.pop(killed).communicate()
    assert {finish(program) for program in programs.values()} == {f"all {TRIALS} trials are done"}
    trials = trials_in(run, storage)
    print(f"four sessions, the study in {kind}, killed: {killed}: {check_whole(run, trials, TRIALS)}")
    assert len({trial.user_attrs["session"] for trial in trials}) == 4
    assert not list((run.path / "sessions").iterdir())


def test_a_session_goes_on_with_what_a_search_left(small: Make) -> None:
    """After it has ended, with the settings of its latest session, from another folder."""
    fake_trials.run(small(trials=2), FakeSetup(), here=True)
    fake_trials.run(small(trials=3), FakeSetup(), here=True)
    run = RunFolder(small().folder)
    assert recorded_settings(run).trials == 3
    assert fake_trials.join(small(), FakeSetup(), here=True).reason == "all 3 trials are done"
    check_whole(run, trials_in(run), 3)
    result = CliRunner().invoke(app, ["search", "--join", str(run.path), "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert "The search ended: all 3 trials are done" in result.output


def test_what_cannot_be_joined_is_refused(small: Make, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder"):
        recorded_settings(RunFolder.existing(tmp_path / "nowhere"))
    fake_trials.run(small(trials=1), FakeSetup(), here=True)
    result = CliRunner().invoke(app, ["search", "--join", str(small().folder), "--budget-flops", "1G"])
    assert isinstance(result.exception, InvalidInput)
    assert "leave --budget-flops out" in str(result.exception)


def test_paths_are_found_from_any_folder(
    small: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    photos: Path,
    teacher_file: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").symlink_to(photos)
    (tmp_path / "tiny.pth").symlink_to(teacher_file)
    relative: dict[str, Any] = {"spaces": ("small.yaml",), "train": Path("images"), "teachers": ("edsr=tiny.pth",)}
    fake_trials.run(small(trials=1, **relative), FakeSetup(), here=True)
    monkeypatch.chdir("/")
    found = recorded_settings(RunFolder(tmp_path / "run"))
    assert found.spaces == (str(tmp_path / "small.yaml"),)
    assert found.train == tmp_path / "images"
    assert found.teachers == (f"edsr={tmp_path / 'tiny.pth'}",)
    assert found.budget.flops == BUDGET
    assert fake_trials.join(small(), FakeSetup(), here=True).reason == "the only trial is done"
