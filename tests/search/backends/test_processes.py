"""Several workers: what they share, and what becomes of the work when one is killed, hangs or cannot begin."""

import json
import signal
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import fake_trials
from helpers.fake_trials import FakeSetup
from helpers.small_search import MakeSettings, counts, run_search, trials_of
from optuna.trial import TrialState

from autocompress import load
from autocompress.compute.precision import Precision
from autocompress.distill.training import Training
from autocompress.errors import AutocompressError
from autocompress.search import RunFolder, SearchCallback, running
from autocompress.search.backends.base import Backend, WorkerSetup
from autocompress.search.backends.processes import ProcessBackend, how_it_ended
from autocompress.search.run.crops import Pieces
from autocompress.search.stopping import NoStopping
from autocompress.search.trial.messages import Failed, Job, Message, StepDone

JOB = Job(0, None, Path(), Path())  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("init", ["scratch", "projection"])
def test_two_workers_do_what_one_does(settings: MakeSettings, tmp_path: Path, init: str) -> None:
    """Of the first points, where nothing is stopped: the same candidates, with the same seeds, the same students."""
    found = []
    for name, count in (("one", 1), ("two", 2)):
        run, outcome = run_search(
            settings(out=tmp_path / name, init=init, workers=count, steps=2, trials=2), stopping=NoStopping()
        )
        assert outcome.reason == "all 2 trials are done"
        found.append({s.trial: (s.config, s.provenance.recipe, s.metrics) for s in run.students()})
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_each_worker_has_its_share_of_the_threads(settings: MakeSettings) -> None:
    class Fake:
        task = SimpleNamespace(digests={})
        precision = Precision(threads=5)
        crops = Pieces(Path(), (), ())

    backend = running.make_backend(settings(workers=2), Fake())  # type: ignore[arg-type]
    assert backend._setup.precision.threads == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("setup", "workers", "timeout", "reason"),
    [
        (FakeSetup(kills_itself_at=100), 1, 60.0, "was killed (signal 9)"),
        pytest.param(
            FakeSetup(kills_itself_at=100), 2, None, "was killed (signal 9)", marks=pytest.mark.slow, id="of two"
        ),
        pytest.param(
            FakeSetup(hangs_at=300), 1, 2.0, "it took longer than 2s (--trial-timeout)", marks=pytest.mark.slow
        ),
    ],
)
def test_a_worker_that_is_lost_is_replaced_and_its_trial_goes_on(
    settings: MakeSettings, setup: FakeSetup, workers: int, timeout: float | None, reason: str
) -> None:
    wanted = settings(workers=workers, trial_timeout=timeout)
    outcome = fake_trials.run(wanted, setup)
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
    fake_trials.run(wanted, FakeSetup(kills_itself_at=33, always=True))
    run = RunFolder(wanted.folder)
    assert counts(run) == {"FAIL": 3}
    assert (
        fake_trials.run(settings(workers=1, trial_timeout=60.0, trials=1), FakeSetup()).reason
        == "the only trial is done"
    )


@pytest.mark.slow
def test_a_trial_that_raises_fails_alone(settings: MakeSettings) -> None:
    wanted = settings(workers=1, trial_timeout=60.0)  # a limit: in a process of its own
    assert fake_trials.run(wanted, FakeSetup(raises_at=33)).reason == "all 6 trials are done"
    run = RunFolder(wanted.folder)
    assert counts(run)["FAIL"] == 1
    [failed] = [trial for trial in trials_of(run) if trial.state == TrialState.FAIL]
    assert failed.user_attrs["reason"] == "the fake trial raised"


@pytest.mark.slow
def test_workers_that_cannot_begin_end_the_search(settings: MakeSettings) -> None:
    with pytest.raises(AutocompressError, match="a worker ended before it could begin: its process ended with code 3"):
        fake_trials.run(settings(workers=2), FakeSetup(dies_first=True))
    assert fake_trials.run(settings(workers=2), FakeSetup()).reason == "all 6 trials are done"


@pytest.mark.parametrize(("opening", "limit"), [(0.0, "1s"), (2.0, "2s")])
def test_a_worker_that_hangs_before_it_is_ready_is_ended(opening: float, limit: str) -> None:
    """It may take longer to get ready than a trial may take, though not for ever."""
    with closing(ProcessBackend(FakeSetup(hangs_first=True), 1, trial_timeout=1.0, opening=opening)) as backend:
        backend.start(JOB)
        assert backend.free_slots() == 0
        assert poll_until(backend, Failed) == [
            Failed(0, f"its worker was not ready after {limit} (--trial-timeout)", again=True)
        ]
        assert backend.free_slots() == 1


def poll_until(backend: Backend, kind: type[Message], seconds: float = 30) -> list[Message]:
    """The messages up to one of this kind, but for steps."""
    messages = list[Message]()
    end = time.monotonic() + seconds
    while not messages or not isinstance(messages[-1], kind):
        assert time.monotonic() < end, messages
        messages += [message for message in backend.poll(0.5) if not isinstance(message, StepDone)]
    return messages


@pytest.mark.slow
def test_a_trial_goes_on_from_its_last_rung(
    settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off after its second rung: the same student as without, and the steps before are not taken again."""
    whole, _ = run_search(settings(out=tmp_path / "whole", trials=1, steps=90))
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
        run_search(parts)
    run, _ = run_search(parts)
    assert taken[:50] == list(range(50))
    assert taken[50:] == list(range(30, 90))
    [one], [other] = whole.students(), run.students()
    ours, theirs = (load(student.file).state_dict() for student in (one, other))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert one.metrics == other.metrics
    assert one.provenance.recipe == other.provenance.recipe
    log = (run.trial(other.trial) / "log.txt").read_text()
    assert "after 30 steps" in log
    assert "finished with" in log


@pytest.mark.slow
def test_ctrl_c_ends_the_workers_and_the_search_goes_on(settings: MakeSettings) -> None:
    class Interrupting(SearchCallback):
        def on_rung(self, trial: int, step: int, psnr: float) -> None:
            raise KeyboardInterrupt

    wanted = settings(workers=2)
    assert fake_trials.run(wanted, FakeSetup(), callback=Interrupting()).interrupted
    run = RunFolder(wanted.folder)
    assert set(counts(run)) <= {"FAIL", "WAITING", "COMPLETE", "PRUNED"}
    assert fake_trials.run(wanted, FakeSetup()).reason == "all 6 trials are done"
    done = [json.dumps(trial.params) for trial in trials_of(run) if trial.state.name in ("COMPLETE", "PRUNED")]
    assert len(set(done)) == len(done) == 6


class KillingIdleWorkers(ProcessBackend):
    """Whoever is given the third job died before."""

    def __init__(self, setup: WorkerSetup) -> None:
        super().__init__(setup, 1)
        self.given = 0

    def start(self, job: Job) -> None:
        self.given += 1
        if self.given == 3:
            [worker] = self._workers
            worker.process.kill()
            worker.process.join()
        super().start(job)


@pytest.mark.slow
def test_a_worker_that_died_while_it_had_nothing_to_do(settings: MakeSettings) -> None:
    """It is found dead when it is given work; that work is tried again."""
    wanted = settings(trials=4)
    assert run_search(wanted, backend=KillingIdleWorkers(FakeSetup()))[1].reason == "all 4 trials are done"
    assert counts(RunFolder(wanted.folder))["FAIL"] == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-signal.SIGKILL, "was killed (signal 9), as systems do that run out of memory"),
        (-signal.SIGBUS, "was ended by a bus error (signal 7): a file that it reads was cut short meanwhile"),
        (-signal.SIGSEGV, "was ended by signal 11 (Segmentation fault)"),
        (-signal.SIGRTMAX, f"was ended by signal {signal.SIGRTMAX} ("),
        (3, "ended with code 3"),
        (None, "ended with code None"),
    ],
)
def test_how_a_worker_ended_is_said(code: int | None, said: str) -> None:
    """Of a file of the cache that somebody cuts while it is mapped, the system tells nothing but the signal."""
    assert said in how_it_ended(code)
