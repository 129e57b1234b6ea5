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
from autocompress import api, search
from autocompress.errors import CheckpointError, RunError
from autocompress.io.checksums import digest_of
from autocompress.report import ReportData
from autocompress.search import RunFolder, Settings
from autocompress.search.results.front import pareto
from autocompress.search.results.status import status
from autocompress.search.run.integrity import check_run, check_weights

Make = Callable[..., Settings]


@pytest.fixture(scope="module")
def kept_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first of the tests keeps a copy of its run for the others."""
    return tmp_path_factory.mktemp("kept") / "run"


@pytest.fixture
def run(settings: Make, kept_run: Path) -> RunFolder:
    """A finished search of four trials, which a test may change."""
    wanted = settings(trials=4)
    if kept_run.exists():
        shutil.copytree(kept_run, wanted.out)
    else:
        shutil.copytree(run_search(wanted)[0].path, kept_run)
    return RunFolder.existing(wanted.out)


def again(settings: Make, **changed: Any) -> tuple[str, list[str]]:
    recorder = Recorder()
    outcome = run_search(settings(trials=4, **changed), recorder)[1]
    return outcome.reason, [fact for fact in recorder.facts if fact.startswith("study ")]


@pytest.mark.parametrize("gone", [[1], pytest.param([0, 1, 2, 3], marks=pytest.mark.slow)])
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
        RunError, match=r"0001/student\.safetensors: missing, .* remove the folder .*0001, and the search's"
    ):
        again(settings)
    shutil.rmtree(second.parent)
    assert again(settings)[0] == "all 4 trials are done"


@pytest.mark.parametrize("show", [pareto, ReportData.of], ids=["pareto", "report"])
def test_a_front_whose_weights_were_swapped_or_are_gone_is_not_shown(
    copied: RunFolder, show: Callable[[RunFolder], object]
) -> None:
    first, second = (Path(file) for file in pareto(copied)["file"][:2])
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    with pytest.raises(RunError, match=r"student\.safetensors: replaced or damaged, .*; restore it, or remove the"):
        show(copied)
    second.write_bytes(contents[1])
    first.unlink()
    with pytest.raises(RunError, match=r"student\.safetensors: missing, but its student\.json is there; restore it"):
        show(copied)
    first.write_bytes(contents[0])
    show(copied)


def test_weights_that_are_replaced_while_they_are_compared_are_no_fault(copied: RunFolder) -> None:
    student = copied.students()[0]
    refined = student.file.read_bytes()[:-4] + bytes(4)  # as a refinement writes them, after they were read here
    student.file.write_bytes(refined)
    change(copied, student.trial, lambda content: content.update(weights=[*student.weights, digest_of(refined)]))
    check_weights(student)


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


def change(run: RunFolder, number: int, change: Callable[[dict[str, Any]], object]) -> None:
    file = run.trial(number) / "student.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def set_scores(content: dict[str, Any], psnr: float) -> None:
    """As somebody who knows that the mean is that of the images."""
    content["metrics"]["psnr_y"] = psnr
    content["psnr_y_by_image"] = dict.fromkeys(content["psnr_y_by_image"], psnr)


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "the mean": (lambda content: content["metrics"].update(psnr_y=99.0), "psnr_y is 99, but the mean over its images"),
    "an image's": (
        lambda content: content["psnr_y_by_image"].update({next(iter(content["psnr_y_by_image"])): 99.0}),
        r"psnr_y is [\d.]*, but the mean over its images is ",
    ),
    "both": (lambda content: set_scores(content, 99.0), r"psnr_y is 99, but [\d.]* in the study"),
    "another metric": (
        lambda content: content["metrics"].update(ssim_y=0.999),
        "ssim_y is 0.999, but .* in the study",
    ),
    "the FLOPs": (lambda content: content.update(flops=content["flops"] // 2), r"flops is .*, but .* in the study"),
    "the parameters": (lambda content: content.update(params=7), "params is 7, but .* in the study"),
}


CHANGED = (
    r"{:04d}/student\.json: changed after it was written, as its {}.*; restore it, or remove the folder .*{:04d}, and "
    "the search's own command trains another"
)


@pytest.mark.parametrize("what", CHANGES)
def test_scores_that_are_changed_by_hand_are_noticed(copied: RunFolder, what: str) -> None:
    making, said = CHANGES[what]
    check_run(copied)
    number = copied.students()[2].trial
    change(copied, number, making)
    with pytest.raises(RunError, match=CHANGED.format(number, said, number)):
        check_run(copied)


READERS: dict[str, Callable[[RunFolder], object]] = {
    "pareto": pareto,
    "status": status,
    "report": ReportData.of,
    "export": lambda run: api.export(run.path, run.path / "exported"),
    "upscale": lambda run: api.upscale(run.path, run.path / "crops", run.path / "exported"),
    "search --join": lambda run: search.join(run.path, Recorder()),
}


@pytest.mark.parametrize("reader", READERS)
def test_readers_notice_them_too(copied: RunFolder, reader: str) -> None:
    number = copied.students()[2].trial
    change(copied, number, lambda content: set_scores(content, 99.0))
    with pytest.raises(RunError, match=CHANGED.format(number, r"psnr_y is 99, but [\d.]* in the study", number)):
        READERS[reader](copied)
    assert not (copied.path / "exported").exists()


def test_a_seed_of_no_number_is_nobodys(copied: RunFolder) -> None:
    change(copied, copied.students()[2].trial, lambda content: content["provenance"]["recipe"].update(seed=[1]))
    check_run(copied)


def test_scores_of_a_refined_student_that_are_changed(copied: RunFolder) -> None:
    search.refine(copied.path, Recorder(), 8)
    check_run(copied)
    refined = [student.trial for student in copied.students() if any(p.kept for p in student.provenance.refinements)]
    change(copied, refined[0], lambda content: set_scores(content, 99.0))
    with pytest.raises(RunError, match="changed after it was written, as its score is 99, but what it was trained to"):
        check_run(copied)


def swap(first: Path, second: Path) -> None:
    first.rename(first.with_name("aside"))
    second.rename(first)
    first.with_name("aside").rename(second)


@pytest.mark.parametrize("how", ["swapped", "copied over", "renamed"])
def test_folders_of_other_trials_are_named(copied: RunFolder, how: str) -> None:
    one, other = (copied.trial(student.trial) for student in copied.students()[1:3])
    first, second = int(one.name), int(other.name)
    said = f"{second:04d} has that of trial {first}"
    if how == "swapped":
        swap(one, other)
        said = f"{first:04d} has that of trial {second}, {said}"
    elif how == "copied over":
        shutil.rmtree(other)
        shutil.copytree(one, other)
    else:
        one.rename(copied.trial(12))
        said = f"0012 has that of trial {first}"
    with pytest.raises(
        RunError, match=rf"students lie in folders of other trials \({said}\); give the folders their own"
    ):
        check_run(copied)


def test_what_is_changed_or_swapped_stops_each_session(settings: Make, run: RunFolder) -> None:
    """Nothing is written, and put right, all goes on."""
    before = (run.trial(2) / "student.json").read_bytes()
    change(run, 2, lambda content: set_scores(content, 99.0))
    for call in (lambda: again(settings), lambda: search.refine(run.path, Recorder(), 8)):
        with pytest.raises(RunError, match=CHANGED.format(2, r"psnr_y is 99, but [\d.]* in the study", 2)):
            call()
    (run.trial(2) / "student.json").write_bytes(before)
    swap(run.trial(1), run.trial(3))
    for call in (lambda: again(settings), lambda: search.refine(run.path, Recorder(), 8)):
        with pytest.raises(RunError, match=r"\(0001 has that of trial 3, 0003 has that of trial 1\)"):
            call()
    assert not list(run.path.glob("study.db.*"))
    swap(run.trial(1), run.trial(3))
    assert again(settings) == ("all 4 trials are done", [])


@pytest.mark.parametrize("what", ["teacher", "target"])
def test_a_student_of_another_teacher_is_of_another_run(copied: RunFolder, what: str) -> None:
    number = copied.students()[1].trial

    def taught_by_another(content: dict[str, Any]) -> None:
        made = content["provenance"]
        made[f"{what}_digest"] = (made[f"{what}_digest"] or made["teacher_digest"])[::-1]

    if what == "target":
        config = json.loads((copied.path / "config.json").read_text())
        for space in config["search"]["spaces"].values():
            space["target"] = space["teacher"]
        (copied.path / "config.json").write_text(json.dumps(config))
    check_run(copied)
    change(copied, number, taught_by_another)
    with pytest.raises(
        RunError, match=rf"{number:04d}/student\.json: of another run, as its {what} \(.*\) is not that of"
    ):
        check_run(copied)


WRONG = {
    "a seed": "UPDATE trial_user_attributes SET value_json = '[1]' WHERE key = 'seed'",
    "FLOPs": "UPDATE trial_user_attributes SET value_json = '\"x\"' WHERE key = 'flops'",
    "seconds": "UPDATE trial_user_attributes SET value_json = '[1]' WHERE key = 'seconds'",
    "a nested value": f"UPDATE trial_user_attributes SET value_json = '{'[' * 100_000}' WHERE key = 'seconds'",
    "a rung": "UPDATE trial_user_attributes SET key = 'psnr_y_at_step_x' WHERE key = 'ssim_y'",
    "a score at a rung": "UPDATE trial_user_attributes SET value_json = '[]' WHERE key LIKE 'psnr_y_at_step%'",
    "no value": "UPDATE trial_values SET value = NULL",
    "no values": "DELETE FROM trial_values",
    "no number": "UPDATE trials SET number = NULL",
    "another state": "UPDATE trials SET state = 'ODD' WHERE number = 1",
}


@pytest.mark.parametrize("what", WRONG)
def test_a_study_with_anything_in_it_is_read_or_said_to_be_none(copied: RunFolder, what: str) -> None:
    with closing(sqlite3.connect(copied.database)) as database, database:
        database.execute(WRONG[what])
    for reader in ("pareto", "status", "report"):
        try:
            READERS[reader](copied)
        except RunError as error:
            assert "its study holds what no search stores" in str(error)  # noqa: PT017


def test_the_config_of_another_run_on_other_images(settings: Make, run: RunFolder, tmp_path: Path) -> None:
    """Its bicubic and its teacher would stand beside students that were scored on the images of this run."""
    config = json.loads((run.path / "config.json").read_text())
    config["search"]["valid"] = "0" * 32
    for reference in config["references"].values():
        reference["psnr_y"] -= 1.0
    (run.path / "config.json").write_text(json.dumps(config))
    message = "student.json: of another run than config.json, as bicubic's psnr_y is"
    for read in (check_run, pareto, ReportData.of):
        with pytest.raises(RunError, match=message):
            read(run)
    with pytest.raises(RunError, match=message):
        api.export(run.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
