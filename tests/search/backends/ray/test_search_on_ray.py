"""The same search on Ray: what becomes of a trial is as with local workers, whatever happens to who works on it."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import fake_trials
from helpers.fake_trials import FakeSetup
from helpers.refined_runs import Watching, check_refined, psnr
from helpers.small_search import MakeSettings, Recorder, counts, run_search, trials_of

from autocompress.errors import AutocompressError, InvalidInput
from autocompress.search import OnRay, RunFolder, refine
from autocompress.search.pareto import Point
from autocompress.search.results.front import pareto
from autocompress.search.settings import BackendName
from autocompress.search.stopping import NoStopping
from autocompress.search.trial.messages import Job, Message, RungReached, Work

ray = pytest.importorskip("ray", reason="Ray is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings

TWO: dict[str, Any] = {"backend": "ray", "workers": 2}


@pytest.fixture(scope="module", autouse=True)
def _local_ray() -> Iterator[None]:
    """One for all tests: it takes seconds to start."""
    from autocompress.search.backends.ray.cluster import connected

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))  # for the fake trials, on the workers
        with connected(OnRay(workers=2)):
            yield


def points(run: RunFolder) -> set[str]:
    return {json.dumps([s.config, s.provenance.recipe, s.metrics]) for s in run.students()}


def test_ray_does_what_one_worker_does(settings: MakeSettings, tmp_path: Path) -> None:
    """Real trials, nothing stopped: the same first points and the same students; and nothing of Tune's is left."""
    found = []
    for name, where in (("here", {}), ("ray", TWO)):
        run, outcome = run_search(settings(out=tmp_path / name, steps=4, trials=3, **where), stopping=NoStopping())
        assert outcome.reason == "all 3 trials are done"
        found.append(points(run))
    assert found[0] == found[1]
    assert len(found[0]) == 3
    there = {entry.name for entry in run.path.iterdir() if not entry.name.startswith((".asking", ".lock", "study.db-"))}
    assert there == {"artifacts", "config.json", "crops", "sessions", "study.db", "times.json", "trials"}


def test_repeats_are_trained_there_too(settings: MakeSettings) -> None:
    """As here: the same scores with the same seeds, and nothing but these is kept."""
    wanted = settings(steps=4, trials=2, repeats=2, **TWO)
    run, outcome = run_search(wanted, stopping=NoStopping())
    assert outcome.reason.endswith("was trained 2 times")
    front = pareto(run)["trial"].tolist()
    found = {trial: [repeat.metrics for repeat in run.repeats(trial)] for trial in front}
    assert all(len(repeats) == 1 for repeats in found.values())
    kept = {file.name for trial in front for file in run.repeat_folder(trial, 1).iterdir()}
    assert kept == {"student.json"}
    for trial in front:
        (run.repeat_folder(trial, 1) / "student.json").unlink()
    run_search(replace(wanted, backend="local", workers=1), stopping=NoStopping())
    assert {trial: [repeat.metrics for repeat in run.repeats(trial)] for trial in front} == found


class OddOnes(NoStopping):
    def stops(self, rung: int, point: Point) -> str | None:
        return "odd" if rung and point.trial % 2 else None


def test_a_trial_that_is_stopped_is_pruned(settings: MakeSettings) -> None:
    wanted = settings(**TWO, trials=4)
    assert fake_trials.run(wanted, FakeSetup(), stopping=OddOnes()).reason == "all 4 trials are done"
    run = RunFolder(wanted.folder)
    assert counts(run) == {"COMPLETE": 2, "PRUNED": 2}
    assert len(run.students()) == 2
    assert {trial.user_attrs["reason"] for trial in trials_of(run) if trial.state.name == "PRUNED"} == {"odd"}


@pytest.mark.parametrize(
    ("setup", "timeout", "reason", "again"),
    [
        (FakeSetup(raises_at=33), None, "the fake trial raised", 0),
        (FakeSetup(kills_itself_at=100), None, "its worker's process or node was lost", 1),
        (FakeSetup(hangs_at=300), 3.0, "it took longer than 3s (--trial-timeout)", 1),
    ],
)
def test_one_bad_trial_is_one_failure(
    settings: MakeSettings, setup: FakeSetup, timeout: float | None, reason: str, again: int
) -> None:
    """And it is tried again where another attempt may have better luck, from its last rung, and only once."""
    wanted = settings(**TWO, trial_timeout=timeout)
    assert fake_trials.run(wanted, setup).reason == "all 6 trials are done"
    run = RunFolder(wanted.folder)
    assert counts(run)["FAIL"] == 1
    assert sum(counts(run).values()) == 6 + again
    [failed] = [trial for trial in trials_of(run) if trial.state.name == "FAIL"]
    assert failed.user_attrs["reason"] == reason
    retried = [trial for trial in trials_of(run) if trial.user_attrs.get("retry_of") == failed.number]
    assert len(retried) == again
    for trial in retried:
        assert trial.params == failed.params
        assert "begins, attempt 2" in (run.trial(trial.number) / "log.txt").read_text()
    assert not list(run.path.rglob("state.pt"))


def test_a_trial_that_kills_every_worker_is_given_up(settings: MakeSettings) -> None:
    wanted = settings(**TWO, trials=1)
    fake_trials.run(wanted, FakeSetup(kills_itself_at=33, always=True))
    assert counts(RunFolder(wanted.folder)) == {"FAIL": 3}


def test_workers_that_die_before_they_are_ready_end_the_search(settings: MakeSettings) -> None:
    wanted = settings(**TWO)
    said = "4 workers on Ray ended before they could begin: .*; Ray's logs on their nodes say more$"
    with pytest.raises(AutocompressError, match=said):
        fake_trials.run(wanted, FakeSetup(dies_first=True))
    assert fake_trials.run(wanted, FakeSetup()).reason == "all 6 trials are done"


class Lacking(FakeSetup):
    """On a node without the images."""

    def open(self) -> Work:
        raise AutocompressError("/data/HR: no such folder here")


def test_a_node_that_lacks_something_says_so(settings: MakeSettings) -> None:
    with pytest.raises(AutocompressError, match=r"on node [0-9.]+: AutocompressError: /data/HR: no such folder here"):
        fake_trials.run(settings(**TWO), Lacking())


class Interrupting(Recorder):
    def on_rung(self, trial: int, step: int, psnr: float) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_ends_the_trials_and_the_search_goes_on(settings: MakeSettings) -> None:
    wanted = settings(**TWO)
    assert fake_trials.run(wanted, FakeSetup(seconds=0.3), callback=Interrupting()).interrupted
    run = RunFolder(wanted.folder)
    assert set(counts(run)) <= {"FAIL", "WAITING", "COMPLETE", "PRUNED"}
    assert not (run.path / ".ray").exists()
    assert fake_trials.run(wanted, FakeSetup()).reason == "all 6 trials are done"
    done = [json.dumps(trial.params) for trial in trials_of(run) if trial.state.name in ("COMPLETE", "PRUNED")]
    assert len(set(done)) == len(done) == 6


def test_time_that_is_up_ends_the_search(settings: MakeSettings) -> None:
    wanted = settings(**TWO, timeout=5.0, trials=12)
    assert fake_trials.run(wanted, FakeSetup(seconds=60)).reason == "the time is used up"
    assert "RUNNING" not in counts(RunFolder(wanted.folder))


class Elsewhere(FakeSetup):
    """On a node that does not see the run folder; it dies once, after its second rung."""

    def work(self, job: Job) -> Iterator[Message]:
        assert "autocompress-" in str(job.folder)
        once = Path(os.environ["AUTOCOMPRESS_TEST_ONCE"])
        resumed = job.state_file.is_file()
        with once.open("a") as file:
            file.write(f"{job.number} {resumed}\n")
        for message in super().work(job):
            yield message
            if isinstance(message, RungReached) and message.step == 100 and not resumed:
                os.kill(os.getpid(), 9)


def test_a_node_without_the_run_folder_sends_its_files(settings: MakeSettings, tmp_path: Path) -> None:
    """Students and states: every trial's first worker dies here, and its second goes on from the state."""
    from autocompress.search.backends.ray.backend import RayBackend

    wanted = settings(**TWO, trials=2)
    backend = RayBackend(ElsewhereSetup(str(tmp_path / "once")), OnRay(workers=2), wanted.folder, shared=False)
    run, outcome = run_search(wanted, backend=backend, stopping=NoStopping())
    assert outcome.reason == "all 2 trials are done"
    assert counts(run) == {"FAIL": 2, "COMPLETE": 2}
    assert len(run.students()) == 2
    assert all(Path(student.file).read_text() == "no weights" for student in run.students())
    resumed = [line.split()[1] for line in (tmp_path / "once").read_text().splitlines()]
    assert resumed.count("False") == resumed.count("True") == 2


class ElsewhereSetup:
    def __init__(self, once: str) -> None:
        self.once = once

    def open(self) -> Work:
        os.environ["AUTOCOMPRESS_TEST_ONCE"] = self.once
        return Elsewhere().work


def test_what_cannot_be_is_said(settings: MakeSettings) -> None:
    with pytest.raises(InvalidInput, match="no node of the Ray cluster has 99 CPUs and 0 GPUs"):
        run_search(settings(**TWO, cpus_per_trial=99))
    with pytest.raises(InvalidInput, match=r"GPUs per trial are 1\.5"):
        OnRay(gpus=1.5)
    with pytest.raises(InvalidInput, match="Ray's client is not enough"):
        OnRay(address="ray://head:10001")


@pytest.mark.parametrize("sees_the_run", [True, False])
def test_a_front_is_refined_on_ray(settings: MakeSettings, sees_the_run: bool) -> None:
    """By workers that write into the run folder, and by some that send what they write, states included."""
    from autocompress.search.backends.ray.backend import RayBackend
    from autocompress.search.backends.ray.setup import SentTask
    from autocompress.search.running import recorded_settings
    from autocompress.search.task import open_task
    from autocompress.search.trial.preparation import prepare

    run, _ = run_search(settings(trials=4))
    before = psnr(run)
    watching = Watching()
    where, own = {"backend": BackendName.RAY, "workers": 2}, {}
    if not sees_the_run:
        wanted = OnRay(workers=2)
        context = prepare(open_task(recorded_settings(run)), precision=run.config.precision)
        own = {"backend": RayBackend(SentTask.of(context, wanted), wanted, run.path, shared=False)}
        where = {}
    _, outcome = refine(run.path, watching, 8, where, save_every=0.0, **own)
    assert outcome.reason == "every student of the front has trained for 8 steps more"
    check_refined(run, before)
    assert watching.pieces
    assert watching.failed == []
    assert watching.scored
    on_front = set(pareto(run)["trial"])
    assert {student.refined_steps for student in run.students() if student.trial in on_front} == {8}
