"""Several workers: what they share, and what becomes of the work when one is killed, hangs or cannot begin."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import stub
import torch
from helpers.small_search import MakeSettings, Recorder, counts, trials_of
from optuna.trial import TrialState
from stub import StubSetup

from autocompress import load, search
from autocompress.compute.precision import Precision
from autocompress.distill.training import Training
from autocompress.errors import AutocompressError
from autocompress.search import RunFolder, running, tuner
from autocompress.search.backends import processes
from autocompress.search.backends.processes import ProcessBackend
from autocompress.search.run.crops import Pieces
from autocompress.search.stopping import HalvingRungs
from autocompress.search.trial.work import Failed, Job, Report, Source


def test_two_workers_do_what_one_does(settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the first points, where nothing is stopped: the same candidates, with the same seeds, the same students."""
    monkeypatch.setattr(HalvingRungs, "stops", lambda *_: None)
    found = []
    for name, count in (("one", 1), ("two", 2)):
        run, outcome = search.search(settings(out=tmp_path / name, workers=count, steps=4, trials=3), Recorder())
        assert outcome.reason == "all 3 trials are done"
        found.append({s["trial"]: (s["config"], s["provenance"]["recipe"], s["metrics"]) for s in run.students()})
    assert found[0] == found[1]
    assert len(found[0]) == 3


def test_each_worker_has_its_share_of_the_threads(settings: MakeSettings) -> None:
    class Fake:
        precision = Precision(threads=5)
        crops = Pieces(Path(), (), ())

    engine = running._engine(settings(workers=2), Fake())  # type: ignore[arg-type]
    assert engine._setup.precision.threads == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("setup", "timeout", "reason"),
    [
        (StubSetup(kills_itself_at=100), None, "was killed (signal 9)"),
        (StubSetup(hangs_at=300), 1.0, "it took longer than 1s (--trial-timeout)"),
    ],
)
def test_a_worker_that_is_lost_is_replaced_and_its_trial_goes_on(
    settings: MakeSettings, setup: StubSetup, timeout: float | None, reason: str
) -> None:
    wanted = settings(workers=2, trial_timeout=timeout)
    outcome = stub.run(wanted, setup)
    assert outcome.reason == "all 6 trials are done"
    run = RunFolder(wanted.folder)
    [failed] = [trial for trial in trials_of(run) if trial.state == TrialState.FAIL]
    assert reason in failed.user_attrs["reason"]
    [again] = [trial for trial in trials_of(run) if trial.user_attrs.get("retry_of") == failed.number]
    assert again.params == failed.params
    assert again.state in (TrialState.COMPLETE, TrialState.PRUNED)
    log = (run.trial(again.number) / "log.txt").read_text()
    assert "begins, attempt 2" in log
    assert not list(run.path.rglob("state.pt"))
    assert "RUNNING" not in counts(run)
    assert "WAITING" not in counts(run)


@pytest.mark.slow
def test_a_trial_that_kills_every_worker_is_given_up(settings: MakeSettings) -> None:
    wanted = settings(workers=1, trial_timeout=60.0, trials=1)
    stub.run(wanted, StubSetup(kills_itself_at=33, always=True))
    run = RunFolder(wanted.folder)
    assert counts(run) == {"FAIL": 3}
    assert stub.run(settings(workers=1, trial_timeout=60.0, trials=1), StubSetup()).reason == "all 1 trials are done"


def test_a_trial_that_raises_fails_alone(settings: MakeSettings) -> None:
    wanted = settings(workers=2)
    assert stub.run(wanted, StubSetup(raises_at=33)).reason == "all 6 trials are done"
    run = RunFolder(wanted.folder)
    assert counts(run)["FAIL"] == 1
    [failed] = [trial for trial in trials_of(run) if trial.state == TrialState.FAIL]
    assert failed.user_attrs["reason"] == "the stub raised"


def test_what_fails_is_tried_again_at_once(settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a worker that found nothing to do just before: it need not wait for its next look at what others did."""
    monkeypatch.setattr(tuner, "LOOK_EVERY", 10.0)
    rounds: list[Source] = []
    begun: list[Job] = []
    beside: list[Job | None] = []

    class Failing:
        def run(self, source: Source) -> None:
            rounds.append(source)
            while (job := source.next_job()) is not None:
                begun.append(job)
                beside.append(source.next_job())
                source.answer(Failed(job.number, "bad luck", again=True))

    monkeypatch.setattr(running, "_engine", lambda *_: Failing())
    search.search(settings(trials=1), Recorder())
    assert (len(rounds), len(begun)) == (1, 3)
    assert beside == [None] * 3
    assert counts(RunFolder(settings().folder)) == {"FAIL": 3}


@pytest.mark.slow
def test_workers_that_cannot_begin_end_the_search(settings: MakeSettings) -> None:
    with pytest.raises(AutocompressError, match="a worker ended before it could begin: its process ended with code 3"):
        stub.run(settings(workers=2), StubSetup(dies_at_birth=True))
    assert stub.run(settings(workers=2), StubSetup()).reason == "all 6 trials are done"


class OneJob:
    """A source of one job that is given up when it has failed; it waits for no longer than half a minute."""

    def __init__(self) -> None:
        self.jobs = [Job(0, None, Path(), Path())]  # type: ignore[arg-type]
        self.heard: list[Report] = []
        self._start = time.monotonic()

    def next_job(self) -> Job | None:
        return self.jobs.pop() if self.jobs else None

    def answer(self, report: Report) -> bool:
        self.heard.append(report)
        return False

    def check(self) -> None:
        if time.monotonic() - self._start > 30:
            raise TimeoutError


@pytest.mark.parametrize(("opening", "limit"), [(0.0, "1s"), (2.0, "2s")])
def test_a_worker_that_hangs_before_it_can_begin_is_ended(
    monkeypatch: pytest.MonkeyPatch, opening: float, limit: str
) -> None:
    """It may take longer to begin than a trial may take, though not for ever."""
    monkeypatch.setattr(processes, "OPENING", opening)
    source = OneJob()
    ProcessBackend(StubSetup(hangs_at_birth=True), 1, trial_timeout=1.0).run(source)
    reason = f"its worker was not ready after {limit} (--trial-timeout)"
    assert source.heard == [Failed(0, reason, again=True)]


@pytest.mark.slow
def test_a_trial_goes_on_from_its_last_rung(
    settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off after its second rung: the same student as without, and the steps before are not taken again."""
    whole, _ = search.search(settings(out=tmp_path / "whole", trials=1, steps=90), Recorder())
    taken: list[int] = []
    update = Training._update

    def counted(training: Training) -> torch.Tensor:
        taken.append(training.step)
        if len(taken) == 50:
            raise ZeroDivisionError
        return update(training)

    monkeypatch.setattr(Training, "_update", counted)
    parts = settings(out=tmp_path / "parts", trials=1, steps=90)
    with pytest.raises(ZeroDivisionError):
        search.search(parts, Recorder())
    run, _ = search.search(parts, Recorder())
    assert taken[:50] == list(range(50))
    assert taken[50:] == list(range(30, 90))
    [one], [other] = whole.students(), run.students()
    ours, theirs = (load(student["file"]).state_dict() for student in (one, other))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert one["metrics"] == other["metrics"]
    assert one["provenance"]["recipe"] == other["provenance"]["recipe"]
    log = (run.trial(other["trial"]) / "log.txt").read_text()
    assert "after 30 steps" in log
    assert "finished with" in log


@pytest.mark.slow
def test_ctrl_c_ends_the_workers_and_the_search_goes_on(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting(Recorder):
        def at_rung(self, trial: int, step: int, psnr: float) -> None:
            raise KeyboardInterrupt

    wanted = settings(workers=2)
    monkeypatch.setattr(running, "_engine", lambda *_: stub.ProcessBackend(StubSetup(), 2))
    run, outcome = search.search(wanted, Interrupting())
    assert outcome.interrupted
    assert set(counts(run)) <= {"FAIL", "WAITING", "COMPLETE", "PRUNED"}
    assert stub.run(replace(wanted), StubSetup()).reason == "all 6 trials are done"
    done = [json.dumps(trial.params) for trial in trials_of(run) if trial.state.name in ("COMPLETE", "PRUNED")]
    assert len(set(done)) == len(done) == 6


@pytest.mark.slow
def test_a_worker_that_died_while_it_had_nothing_to_do(settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found dead when it is given work; that work is tried again."""
    begin, given = processes._Worker.begin, list[int]()

    def kill_first(worker: processes._Worker, job: Job) -> None:
        given.append(job.number)
        if len(given) == 3:
            worker.process.kill()
            worker.process.join()
        begin(worker, job)

    monkeypatch.setattr(processes._Worker, "begin", kill_first)
    wanted = settings(workers=1, trial_timeout=60.0, trials=4)
    assert stub.run(wanted, StubSetup()).reason == "all 4 trials are done"
    assert counts(RunFolder(wanted.folder))["FAIL"] == 1
