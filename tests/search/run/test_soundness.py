"""Studies with anything in them: found before a search asks them for a trial, set aside, and made again."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from helpers import fake_trials
from helpers.fake_trials import FakeSetup
from helpers.programs import trials_in
from helpers.small_search import run_search

from autocompress.dashboard import serve
from autocompress.errors import RunError
from autocompress.report import ReportData
from autocompress.search import RunFolder, SearchCallback, Settings
from autocompress.search.results.front import pareto
from autocompress.search.results.status import status
from autocompress.search.run.sessions import Session, is_held
from autocompress.search.run.soundness import problem_of_study
from autocompress.search.run.storage import find_storage
from autocompress.search.task import open_task

Make = Callable[..., Settings]

ENDLESS = (
    "ALTER TABLE trials RENAME TO trials_before; CREATE VIEW trials AS WITH RECURSIVE c(x) AS "
    "(SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x AS trial_id, x AS number, 1 AS study_id, 'FAIL' AS state, "
    "NULL AS datetime_start, NULL AS datetime_complete FROM c"
)
ATTRIBUTE = "UPDATE trial_user_attributes SET value_json = '{}' WHERE key LIKE '{}'"
ADDED = "INSERT INTO trial_user_attributes (trial_id, key, value_json) SELECT trial_id, '{}', '{}' FROM trials"
OTHER_KIND = '{"name": "FloatDistribution", "attributes": {"low": 0.0, "high": 9.0, "step": null, "log": false}}'
HARM = {
    "the FLOPs are a word": ATTRIBUTE.format('"x"', "flops"),
    "the FLOPs are beyond a float": ATTRIBUTE.format("9" * 4000, "flops"),
    "no FLOPs": "DELETE FROM trial_user_attributes WHERE key = 'flops'",
    "nested attributes": ATTRIBUTE.format("[" * 100_000, "seconds"),
    "long attributes": ATTRIBUTE.format(f'"{"x" * 200_000}"', "config"),
    "attributes that are no JSON": ATTRIBUTE.format("{junk", "%"),
    "attributes that are no text": "UPDATE trial_user_attributes SET value_json = x'ff00fe'",
    "a score at no rung": "UPDATE trial_user_attributes SET key = 'psnr_y_at_step_x' WHERE key = 'ssim_y'",
    "a score that is no number": ATTRIBUTE.format("NaN", "psnr_y_at_step%"),
    "a retry of what was not tried": ADDED.format("retry_of", 77),
    "an origin that is a path": ADDED.format("origin", '"../../x"'),
    "no objectives": "DELETE FROM trial_values",
    "one objective": "DELETE FROM trial_values WHERE objective = 1",
    "an infinite objective": "UPDATE trial_values SET value_type = 'INF_POS', value = NULL",
    "objectives the other way": "UPDATE study_directions SET direction = 'MINIMIZE'",
    "no number": "UPDATE trials SET number = NULL",
    "one number for all": "UPDATE trials SET number = 0",
    "a state that there is not": "UPDATE trials SET state = 'ODD' WHERE number = 1",
    "no date": "UPDATE trials SET datetime_complete = 'yesterday'",
    "a parameter out of the space": "UPDATE trial_params SET param_value = 1e30",
    "a parameter that is no number": "UPDATE trial_params SET param_value = 'abc'",
    "a parameter of another kind": f"UPDATE trial_params SET distribution_json = '{OTHER_KIND}' "
    "WHERE param_name = 'num_feat'",
    "a queue of anything": "UPDATE trial_system_attributes SET value_json = '[1, 2]' WHERE key = 'fixed_params'",
    "a missing table": "DROP TABLE trials",
    "a missing column": "ALTER TABLE trials RENAME COLUMN datetime_start TO begun",
    "a view without end": ENDLESS,
    "a trigger": "CREATE TRIGGER x BEFORE INSERT ON trials BEGIN SELECT RAISE(IGNORE); END",
    "a computed column": "CREATE TABLE trials_2 (x INTEGER, y TEXT AS (hex(zeroblob(x))))",
    "another program's table": "CREATE TABLE bookmarks (url TEXT)",
    "two versions": "INSERT INTO alembic_version VALUES ('v3.0.0.a')",
}


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run is kept once a test has made it."""
    return tmp_path_factory.mktemp("tried") / "run"


@pytest.fixture
def run(small: Make, tried: Path) -> RunFolder:
    """Of fake trials."""
    if not tried.exists():
        fake_trials.run(small(), FakeSetup(), here=True)
        shutil.copytree(small().folder, tried)
    shutil.copytree(tried, small().folder, dirs_exist_ok=True)
    return RunFolder(small().folder)


def harm(database: Path, statements: str) -> None:
    with closing(sqlite3.connect(database)) as opened, opened:
        opened.executescript(statements)


@pytest.mark.parametrize(
    "what",
    [what if number % 3 == 0 else pytest.param(what, marks=pytest.mark.slow) for number, what in enumerate(HARM)],
)
def test_what_no_search_stores_is_found(small: Make, run: RunFolder, what: str) -> None:
    place, joint_space = find_storage(None, run), open_task(small()).joint_space
    with place.errors_explained():
        assert problem_of_study(run, place, joint_space) is None
    harm(run.database, HARM[what])
    with place.errors_explained():
        problem = problem_of_study(run, place, joint_space)
    assert problem
    assert "\n" not in problem
    assert len(problem) < 100


@pytest.mark.parametrize(
    "what",
    ["no FLOPs", *(pytest.param(what, marks=pytest.mark.slow) for what in ("a view without end", "a missing table"))],
)
def test_such_a_study_is_set_aside_and_made_again(small: Make, run: RunFolder, what: str) -> None:
    """Once, with nothing lost; readers that need it say what is wrong."""
    harm(run.database, HARM[what])
    with pytest.raises(RunError, match="its study holds what no search stores"):
        status(run)
    before = run.database.read_bytes()
    written = {path: path.read_bytes() for path in run.path.glob("trials/*/student.*")}
    facts: list[str] = []

    class Listening(SearchCallback):
        def on_prepared(self, prepared: list[str]) -> None:
            facts.extend(fact for fact in prepared if fact.startswith("study "))

    for _ in range(2):
        outcome = fake_trials.run(small(trials=7), FakeSetup(), here=True, callback=Listening())
        assert outcome.reason == "all 7 trials are done"
    assert len(facts) == 1
    assert "study.db held what no search stores" in facts[0]
    assert "and is now called study.db.damaged; made again from" in facts[0]
    assert run.database.with_name("study.db.damaged").read_bytes() == before
    assert {path: path.read_bytes() for path in written} == written
    assert status(run)["trials"]["finished"] == len(run.students())
    assert len(trials_in(run)) >= 7


def test_a_study_in_a_storage_of_its_own_is_refused(settings: Make, tmp_path: Path) -> None:
    """And readers find what was changed in it, or in the run's folder."""
    kept = tmp_path / "all studies.db"
    wanted = settings(storage=f"sqlite:///{kept}", trials=2)
    run, _ = run_search(wanted)
    readers = (pareto, status, ReportData.of)
    file = run.students()[0].file.with_name("student.json")
    whole = file.read_text()
    content = json.loads(whole)
    file.write_text(json.dumps(content | {"flops": content["flops"] // 2}))
    for reader in readers:
        with pytest.raises(RunError, match=r"changed after it was written, as its flops is .* in the study"):
            reader(run)
    file.write_text(whole)
    harm(kept, "CREATE TABLE bookmarks (url TEXT)")  # somebody else's
    for reader in readers:
        reader(run)
    harm(kept, ENDLESS)
    for reader in readers:
        with pytest.raises(RunError, match="its study holds what no search stores"):
            reader(run)
    with pytest.raises(RunError, match=r"its study in sqlite:///.*\.db holds what no search stores \(it has a view"):
        run_search(wanted)


def test_readers_write_nothing_into_a_database_that_config_names(run: RunFolder, tmp_path: Path) -> None:
    """Somebody else's run may name any."""
    bookmarks = tmp_path / "bookmarks.db"
    harm(bookmarks, "CREATE TABLE bookmarks (url TEXT)")
    before = bookmarks.read_bytes()
    config = json.loads((run.path / "config.json").read_text())
    for named in (bookmarks, tmp_path / "nothing.db"):
        config["storage"] = {"url": f"sqlite:///{named}", "study": "x"}
        (run.path / "config.json").write_text(json.dumps(config))
        assert status(run)["trials"]["finished"] == 0
        assert ReportData.of(run).without_study == f"{run.path}: its study is not there"
        with pytest.raises(RunError, match=r"its study is not in sqlite:.* yet"):
            serve(run, "127.0.0.1", 0, None, lambda _: None)
    assert bookmarks.read_bytes() == before
    assert not (tmp_path / "nothing.db").exists()


def test_a_session_is_no_path_and_its_lock_no_link(run: RunFolder, tmp_path: Path) -> None:
    precious = tmp_path / "precious.lock"
    precious.write_text("kept")
    (run.path / "sessions" / "abc.lock").symlink_to(precious)
    session = Session(run.path, find_storage(None, run))
    assert not session.alive("../../precious")
    assert not is_held(run.path / "sessions" / "abc.lock")
    assert status(run)["sessions"] == 0
    session.remove_stale_locks()
    assert precious.read_text() == "kept"
    assert not (run.path / "sessions" / "abc.lock").is_symlink()
