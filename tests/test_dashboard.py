"""What a study carries for the Optuna dashboard, and the dashboard itself, in a browser."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import optuna
import optuna_dashboard
import pytest
from bottle import HTTPResponse
from helpers import fake_trials
from helpers.command_line import Call, assert_refused
from helpers.dashboard import dashboard_of
from helpers.fake_trials import FakeSetup
from helpers.small_search import BUDGET, Recorder, run_search
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta
from optuna.trial import FrozenTrial, TrialState
from optuna_dashboard import get_note
from optuna_dashboard._note import get_note_from_system_attrs
from PIL import Image
from playwright.sync_api import Browser
from typer.testing import CliRunner

from autocompress.cli import app
from autocompress.dashboard import ServedStore, serve
from autocompress.errors import InvalidInput, RunError
from autocompress.io.checksums import digest_of
from autocompress.search import Outcome, RunFolder, Settings
from autocompress.search.run.artifact_store import PICTURE
from autocompress.search.run.storage import find_storage
from autocompress.search.space.budget import Budget

Finished = tuple[RunFolder, Outcome, Recorder]
Make = Callable[..., Settings]


class Shown:
    """A run's study as the dashboard has it."""

    def __init__(self, run: RunFolder) -> None:
        self.storage = find_storage(None, run).open(run)
        self.study = optuna.load_study(study_name=None, storage=self.storage)
        self.trials = self.study.get_trials()
        self._attributes = self.storage.get_study_system_attrs(self.study._study_id)
        self._store = FileSystemArtifactStore(run.artifacts)

    def note(self, trial: FrozenTrial) -> str:
        return str(get_note_from_system_attrs(self._attributes, trial._trial_id)["body"])

    def pictures(self, trial: FrozenTrial) -> dict[str, bytes]:
        """By the path under which a note shows them."""
        found = {}
        for artifact in get_all_artifact_meta(trial, storage=self.storage):
            assert artifact.mimetype == "image/png"
            path = f"/artifacts/{self.study._study_id}/{trial._trial_id}/{artifact.artifact_id}"
            with self._store.open_reader(artifact.artifact_id) as file:
                found[path] = file.read()
        return found

    def close(self) -> None:
        self.storage.remove_session()
        self.storage.engine.dispose()  # type: ignore[attr-defined]


@pytest.fixture
def show() -> Iterator[Callable[[RunFolder], Shown]]:
    opened: list[Shown] = []

    def read(run: RunFolder) -> Shown:
        opened.append(Shown(run))
        return opened[-1]

    yield read
    for shown in opened:
        shown.close()


@pytest.fixture(scope="module")
def address(finished: Finished) -> Iterator[str]:
    """Of a finished run's study, while its dashboard is open."""
    with dashboard_of(finished[0].path) as address:
        yield address


def test_trials_have_readable_attributes(finished: Finished, show: Callable[[RunFolder], Shown]) -> None:
    run = finished[0]
    teacher = run.config.references.teacher.flops
    for trial in show(run).trials:
        about = trial.user_attrs
        assert about["config"] == f"edsr num_feat={trial.params['num_feat']} num_block={trial.params['num_block']}"
        assert about["flops_share"] == pytest.approx(about["flops"] / teacher, abs=1e-4)
        student = run.student(trial.number)
        assert student is not None
        assert about["seed"] == student.provenance.recipe["seed"]
        assert about["steps"] == 4
        assert student.metrics.items() <= about.items()


def test_students_have_a_note_with_a_picture(finished: Finished, show: Callable[[RunFolder], Shown]) -> None:
    shown = show(finished[0])
    for trial in shown.trials:
        note = shown.note(trial)
        assert f"**{trial.user_attrs['config']}**: **{trial.values[0]:.2f} dB** PSNR-Y at" in note
        ((path, content),) = shown.pictures(trial).items()
        assert f"![student, teacher, ground truth and bicubic]({path})" in note
        width, height = Image.open(BytesIO(content)).size
        assert width > 3.5 * (height - 30)


def test_a_study_says_what_it_is(finished: Finished, show: Callable[[RunFolder], Shown], teacher_file: Path) -> None:
    run, shown = finished[0], show(finished[0])
    note = get_note(shown.study)
    for fact in (str(teacher_file), "num_feat 2, 4, 6, 8", "4 steps", "seed 0", f"autocompress pareto {run.path}"):
        assert fact in note
    assert shown.study.user_attrs.keys() == {"budget", "teacher", "bicubic", "images", "seed"}


def test_stopped_and_failed_trials_say_why(small: Make, show: Callable[[RunFolder], Shown]) -> None:
    fake_trials.run(small(trials=12, steps=300), FakeSetup(raises_at=100), here=True)
    shown = show(RunFolder(small().folder))
    (failed,) = (trial for trial in shown.trials if trial.state == TrialState.FAIL)
    assert "**failed** (for good): the fake trial raised" in shown.note(failed)
    stopped = [trial for trial in shown.trials if trial.state == TrialState.PRUNED]
    assert stopped
    for trial in stopped:
        about, note = trial.user_attrs, shown.note(trial)
        assert f"**{about['config']}**: **stopped**: {about['reason']}" in note
        assert f"{about['psnr_y_at_step_' + str(about['steps'])]:.2f} dB after {about['steps']} steps" in note


def test_a_trial_that_was_cut_off_at_its_end_is_shown_once(
    small: Make, show: Callable[[RunFolder], Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    tell, calls = optuna.Study.tell, []

    def interrupted(*words: object, **named: object) -> FrozenTrial:
        calls.append(words)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return tell(*words, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(optuna.Study, "tell", interrupted)
    run, outcome = run_search(small(trials=1, steps=2, init="scratch"))
    assert outcome.interrupted
    shown = show(run)
    (trial,) = shown.trials
    assert trial.state == TrialState.COMPLETE
    assert len(shown.pictures(trial)) == 1
    assert next(iter(shown.pictures(trial))) in shown.note(trial)


def test_a_lost_study_has_its_notes_and_pictures_again(small: Make, show: Callable[[RunFolder], Shown]) -> None:
    wanted = small(trials=2, steps=2, init="scratch")
    run, _ = run_search(wanted)
    before = show(run)
    before.close()
    for file in run.path.glob("study.db*"):
        file.unlink()
    run_search(wanted)
    after = show(run)
    assert len(before.trials) == len(after.trials) == 2
    for trial, again in zip(before.trials, after.trials, strict=True):
        of_its_session = {"session", "begun", "start", "ordinal"}
        expected, found = ({k: v for k, v in t.user_attrs.items() if k not in of_its_session} for t in (trial, again))
        assert found.pop("seconds")["training"] == pytest.approx(expected.pop("seconds")["training"], abs=0.01)
        assert found == expected
        assert after.note(again)
        assert list(after.pictures(again).values()) == list(before.pictures(trial).values())


def test_nothing_shown_ends_a_search(
    small: Make, show: Callable[[RunFolder], Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no notes today")

    monkeypatch.setattr(optuna_dashboard, "save_note", fails)
    assert fake_trials.run(small(trials=3), FakeSetup(), here=True).reason == "all 3 trials are done"
    run = RunFolder(small().folder)
    assert "not shown in the dashboard: RuntimeError('no notes today')" in (run.trial(0) / "log.txt").read_text()
    assert not any(map(show(run).note, show(run).trials))


def test_a_user_s_note_stays(small: Make, show: Callable[[RunFolder], Shown]) -> None:
    fake_trials.run(small(trials=2), FakeSetup(), here=True)
    run = RunFolder(small().folder)
    shown = show(run)
    long = "a user's own words, " * 2000  # more than one attribute of a database holds
    optuna_dashboard.save_note(shown.study, long)
    for extend in (False, True):
        fake_trials.run(small(trials=3, extend=extend), FakeSetup(), here=True)
        assert get_note(show(run).study) == long


def test_a_note_of_ours_is_replaced_where_the_budget_is_another(
    small: Make, show: Callable[[RunFolder], Shown]
) -> None:
    fake_trials.run(small(trials=2), FakeSetup(), here=True)
    run = RunFolder(small().folder)
    before = get_note(show(run).study)
    fake_trials.run(small(trials=2, budget_flops=BUDGET // 2, extend=True), FakeSetup(), here=True)
    after = get_note(show(run).study)
    assert str(Budget(BUDGET)) in before
    assert str(Budget(BUDGET // 2)) in after


@pytest.mark.parametrize(("host", "reason"), [("", "--host is empty"), (" ", "--host is empty"), ("a..b", "listen on")])
def test_a_host_that_is_none_is_refused(finished: Finished, host: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        told(str(finished[0].path), "--port", "0", "--host", host)


def test_the_front_is_in_the_browser(address: str, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(address)
    page.get_by_text("Pareto Front").first.wait_for()
    page.locator(".js-plotly-plot .scatterlayer .point").first.wait_for()
    page.get_by_text("PSNR-Y (dB)").first.wait_for()
    page.get_by_text("FLOPs (1280x720)").first.wait_for()
    page.close()


def test_a_trial_s_page_shows_it(
    finished: Finished, address: str, browser: Browser, show: Callable[[RunFolder], Shown]
) -> None:
    trial = next(trial for trial in show(finished[0]).trials if trial.state == TrialState.COMPLETE)
    page = browser.new_page()
    page.goto(f"{address}/trials?numbers={trial.number}")
    page.get_by_role("heading", name=f"Trial {trial.number} ").wait_for()
    page.get_by_text("flops_share").first.wait_for()
    page.get_by_text(trial.user_attrs["config"]).first.wait_for()
    picture = page.get_by_alt_text("student, teacher, ground truth and bicubic").first
    picture.wait_for()
    page.wait_for_function("[...document.images].every(image => image.complete)")
    assert picture.evaluate("image => image.naturalWidth") > 600
    page.close()


def wait_until_it_listens(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("it does not listen")


@pytest.mark.slow
def test_optuna_s_own_command_shows_the_same(finished: Finished, show: Callable[[RunFolder], Shown]) -> None:
    run, shown = finished[0], show(finished[0])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = f"sqlite:///{run.database}"
    program = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "optuna_dashboard._cli",
            place,
            "--artifact-dir",
            str(run.artifacts),
            "--port",
            str(port),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stderr is not None
        while "Hit Ctrl-C" not in program.stderr.readline():
            assert program.poll() is None
        wait_until_it_listens(port)  # it says so a moment before
        trial = next(trial for trial in shown.trials if trial.state == TrialState.COMPLETE)
        for path, content in shown.pictures(trial).items():
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                assert answer.read() == content
    finally:
        program.kill()
        program.communicate()


def told(*words: str) -> None:
    result = CliRunner().invoke(app, ["dashboard", *words])
    assert result.exception is not None
    raise result.exception


def test_what_cannot_be_shown(finished: Finished, tmp_path: Path) -> None:
    run = str(finished[0].path)
    with pytest.raises(RunError, match="no such folder"):
        told(str(tmp_path / "none"))
    with pytest.raises(InvalidInput, match=r"--port is 70000, but must be from 0 .* to 65535"):
        told(run, "--port", "70000")
    with pytest.raises(InvalidInput, match=r"cannot listen on 256.1.1.1:0 .*; give another"):
        told(run, "--port", "0", "--host", "256.1.1.1")
    early = tmp_path / "early"
    early.mkdir()
    (early / "config.json").write_text((finished[0].path / "config.json").read_text())
    with pytest.raises(RunError, match=r"has no study\.db yet"):
        told(str(early))


def test_a_port_in_use_is_one_line(call: Call, finished: Finished) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = call("dashboard", finished[0].path, "--port", port)
    assert_refused(ended, f"cannot listen on 127.0.0.1:{port} (Address already in use); give another --port")


def test_pictures_that_are_not_the_search_s_are_not_served(copied: RunFolder) -> None:
    """Others that people have put there are; a pipe, and what was removed, are 404 as any page that is not there."""
    first, second = sorted(copied.artifacts.iterdir())[:2]
    first.write_bytes(second.read_bytes())
    said: list[str] = []

    def listens(url: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve(copied, "127.0.0.1", 0, None, listens, said.append)
    [line] = said
    assert f"1 picture left out, as changed or swapped after they were written ({first.name})" in line
    digest = digest_of(b"the search's")
    store = ServedStore(copied.artifacts, lambda: {f"{PICTURE}a": [digest], f"{PICTURE}b": ["00", digest]})
    for name in "abc":
        (copied.artifacts / name).write_bytes(b"a user's" if name in "ac" else b"the search's")
    os.mkfifo(copied.artifacts / "pipe")
    assert store.changed() == ["a"]
    for name in "bc":
        store.open_reader(name).close()
    for name in ("a", "pipe", "gone"):
        with pytest.raises(HTTPResponse) as refused:
            store.open_reader(name)
        assert refused.value.status_code == 404
