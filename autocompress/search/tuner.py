"""The search itself: ask for candidates, decide at each rung who goes on, and tell the study what became of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from autocompress.errors import DiskFull
from autocompress.search.callbacks import SearchCallback
from autocompress.search.pareto import Point
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.known import Known
from autocompress.search.run.record import TrialRecord, update
from autocompress.search.run.recovery import rebuild
from autocompress.search.run.sessions import Session
from autocompress.search.run.showing import Showing
from autocompress.search.run.study import (
    ended,
    enqueue,
    fail,
    open_study,
    ordinal,
    origin,
    recover,
)
from autocompress.search.run.sweeping import sweep
from autocompress.search.run.trial_log import TrialLog
from autocompress.search.sampling.factory import make_sampler
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.space.search_space import Candidate, Values
from autocompress.search.stopping import HalvingRungs
from autocompress.search.timer import PhaseTimer
from autocompress.search.trial.trial import rung_steps
from autocompress.search.trial.work import Backend, Failed, Finished, Job, Report, RungReached, Step

ETA = 2  # 1 in so many goes on at a rung...
FIRST = 8  # ...and the first so many do in any case
MAX_ATTEMPTS = 3
LOOK_EVERY = 1.0  # seconds between looks whether there is anything to do again, where there was nothing
TIMES_EVERY = 2.0  # seconds between writings of where the time goes
TIME_IS_UP = "the time is used up"


class _TimeIsUp(Exception):
    """With trials that are not trained to the end."""


@dataclass(frozen=True)
class Outcome:
    """How a search ended."""

    reason: str
    interrupted: bool = False


@dataclass(frozen=True)
class _Open:
    """A trial that is asked for and not yet told."""

    asked: optuna.Trial
    candidate: Candidate
    ordinal: int

    @property
    def origin(self) -> int:
        return origin(self.asked)


class Tuner:
    """Asks the study for candidates and tells it what became of them: the only one in its session that does.

    An engine works on them and reports; see `Source`. Other sessions may work on the same study: what is asked for, and
    what is tried again, is decided by one of them at a time.
    """

    def __init__(
        self,
        candidates: FeasibleSet,
        run: RunFolder,
        progress: SearchCallback,
        starts: Iterable[Values],
        ledger: PhaseTimer,
        session: Session,
    ) -> None:
        """`starts` are the first points, as the study has them; the session is to be entered by now."""
        self._ledger = ledger
        task = self._task = candidates.task
        self._run = run
        self._progress = progress
        self._session = session
        self._candidates = candidates
        # at a third of the training alone: what scores before say is right too rarely (benchmarks/samplers.py)
        rungs = HalvingRungs(ETA, FIRST, at=rung_steps(task.settings.steps)[-2:-1])
        self._known = Known(self._candidates.key_of, rungs)
        self._open: dict[int, _Open] = {}
        self._deadline: float | None = None
        self._look_again = 0.0
        self._keep_again = 0.0
        bicubic = run.config["references"]["bicubic"]["psnr_y"]
        self._sampler = make_sampler(task.settings, task.joint_space, self._usable, bicubic, candidates.costs)
        with session.asking():
            storage = session.place.open(run)
            self._study = open_study(storage, session.place.study, self._sampler, candidates.costs.metric)
            self._showing = Showing(storage, session.place.study, run)
            self._showing.study(again=task.settings.extend)
            if not rebuild(self._study, run, task.joint_space, task.settings.seed):
                enqueue(self._study, starts)
            sweep(run, self._look())
            session.bury()

    def run(self, engine: Backend, deadline: float | None) -> Outcome:
        """Until the trials, the time or the space are used up, or the user interrupts. Nothing stays open."""
        self._deadline = deadline
        try:
            self.check()
            engine.run(self)
            while self._others_work():
                time.sleep(LOOK_EVERY)
                self.check()
                engine.run(self)
        except _TimeIsUp:
            self._abandon(TIME_IS_UP)
            return Outcome(TIME_IS_UP)
        except KeyboardInterrupt:
            self._abandon("interrupted")
            return Outcome("interrupted", interrupted=True)
        except BaseException:
            with suppress(Exception):  # what cannot be told now, the next session sees for itself
                self._abandon("the search broke off")
            raise
        with self._session.asking():
            sweep(self._run, self._trials())
            self._session.bury()
        trials = self._task.settings.trials
        if self._room(self._trials()) <= 0:
            return Outcome(f"all {trials} trials are done")
        return Outcome("every config that fits the budget has been tried")

    def check(self) -> None:
        """See `Source.check`; keeps the times, now and then."""
        if time.monotonic() >= self._keep_again:
            self.keep_times()
        if self._deadline is not None and time.monotonic() >= self._deadline and self._room(self._trials()) > 0:
            raise _TimeIsUp

    def keep_times(self) -> None:
        """Write down where this session's time went, up to now."""
        with suppress(DiskFull), self._ledger.during("storing"), self._session.asking():
            self._run.keep_times(self._session.id, self._ledger.to_dict())
        self._keep_again = time.monotonic() + TIMES_EVERY

    def next_job(self) -> Job | None:
        """See `Source.next_job`."""
        self.check()
        number = self._ask()
        if number is None:
            return None
        trial = self._open[number]
        update(trial.asked, TrialRecord(begun=time.time()))
        self._journal(number).write(f"begins, attempt {TrialRecord.of(trial.asked).attempts + 1}: {trial.candidate}")
        state_file = self._run.trial(trial.origin) / "state.pt"
        return Job(number, trial.candidate, self._run.trial(number), state_file)

    def answer(self, report: Report) -> bool:
        """See `Source.answer`."""
        candidate = self._open[report.number].candidate
        match report:
            case Step(number, step):
                self._progress.step(number, step)
                self.check()
                return True
            case RungReached(number, step, psnr):
                return self._judge(number, step, psnr)
            case Finished(number, metrics, seconds):
                self._finish(number, metrics, seconds)
                self._progress.finished(number, candidate, metrics["psnr_y"])
            case Failed(number, reason, again, ends_search):
                if ends_search:
                    raise DiskFull(reason)
                if (student := self._run.student(number)) is not None:  # it died after its end, before it said so
                    seconds = student["provenance"].get("seconds", {})
                    return self.answer(Finished(number, student["metrics"], seconds))
                self._fail(number, reason, again)
                self._progress.failed(number, candidate, reason)
        return False

    def _trials(self) -> Sequence[FrozenTrial]:
        """All of the study as they are now; each look asks the storage."""
        return self._study.get_trials(deepcopy=False)

    def _room(self, trials: Sequence[FrozenTrial]) -> int:
        """How many trials may still be asked for or ended."""
        return self._task.settings.trials - len(ended(trials))

    def _ask(self) -> int | None:
        """The number of one more trial, unless there are enough, or nothing is left to try.

        Where there was nothing to ask for, another session may have changed that, which is seen a little later, or the
        end of a trial of this one (`_close`), which is seen at once.
        """
        if time.monotonic() < self._look_again:
            return None
        with self._ledger.during("sampling"), self._session.asking():
            trials = self._look()
            states = Counter(trial.state for trial in trials)
            room = self._room(trials)
            self._progress.to_go(room)
            free = room > states[TrialState.RUNNING]
            if free and (states[TrialState.WAITING] or self._sampler.any_usable() is not None):
                return self._ask_the_study()
        self._look_again = time.monotonic() + LOOK_EVERY
        return None

    def _look(self) -> Sequence[FrozenTrial]:
        """All trials as they are now, without any that a dead session left running."""
        trials = self._trials()
        running = (trial for trial in trials if trial.state == TrialState.RUNNING)
        theirs = [trial for trial in running if trial.number not in self._open]
        sessions = {trial.number: TrialRecord.of(trial).session for trial in theirs}
        alive = {session for session in set(sessions.values()) if self._session.alive(session)}
        if lost := [trial for trial in theirs if sessions[trial.number] not in alive]:
            self._recover(lost)
            trials = self._trials()
        self._known.look(trials)
        return trials

    def _recover(self, lost: Iterable[FrozenTrial]) -> None:
        recover(self._study, lost, self._showing.recovered, self._task.joint_space.is_whole)

    def _ask_the_study(self) -> int:
        asked = self._study.ask()
        update(asked, TrialRecord(session=self._session.id))
        place = ordinal(asked, self._trials())
        candidate = self._candidates.of(self._task.joint_space.suggest(asked), place)
        self._known.tried.add(self._task.joint_space.key(candidate))
        update(asked, self._showing.cost(candidate))
        self._open[asked.number] = _Open(asked, candidate, place)
        return asked.number

    def _others_work(self) -> bool:
        """Whether trials are in flight elsewhere, or were given up there just now: they may be left to this session."""
        trials = self._trials()
        states = {trial.state for trial in trials}
        return TrialState.RUNNING in states or (TrialState.WAITING in states and self._room(trials) > 0)

    def _judge(self, number: int, step: int, psnr: float) -> bool:
        """At a rung; before training only a projected student's score says anything."""
        trial = self._open[number]
        candidate, point = trial.candidate, Point(number, psnr, trial.candidate.cost)
        with self._ledger.during("storing"):
            update(trial.asked, TrialRecord(at_step={step: psnr}))
            self._journal(number).write(f"{psnr:.4f} dB after {step} steps")
        self._known.record(step, point)
        if not self._session.alone():
            self._known.look(self._trials())
        if step == 0:
            self._progress.scored(number, candidate, psnr)
        else:
            self._progress.at_rung(number, step, psnr)
        judged = step > 0 or self._task.settings.init == "projection"
        reason = self._known.rungs.stops(step, point) if judged else None
        if reason is not None:
            self._stop(number, reason)
            self._progress.stopped(number, candidate, reason)
        elif step == 0:
            self._progress.training(number, candidate)
        return reason is None

    def _finish(self, number: int, metrics: dict[str, float], seconds: dict[str, float]) -> None:
        with self._ledger.during("storing"):
            trial = self._close(number, f"finished with {metrics['psnr_y']:.4f} dB")
            self._showing.finished(number, metrics, seconds)
            self._study.tell(number, [metrics["psnr_y"], float(trial.candidate.cost)])
            self._run.remove_state(trial.origin)

    def _stop(self, number: int, reason: str) -> None:
        with self._ledger.during("storing"):
            trial = self._close(number, f"stopped: {reason}")
            self._showing.stopped(number, reason)
            self._study.tell(number, state=TrialState.PRUNED)
            self._run.remove_state(trial.origin)

    def _fail(self, number: int, reason: str, again: bool) -> None:
        """For good, or to be tried again, from its last rung."""
        with self._ledger.during("storing"), self._session.asking():
            trial = self._close(number, f"failed: {reason}")
            again = again and TrialRecord.of(trial.asked).attempts + 1 < MAX_ATTEMPTS
            self._showing.failed(number, reason, again)
            self._known.forget(number)
            fail(self._study, number, again=again, failed_attempt=True)
            if not again:
                self._run.remove_state(trial.origin)

    def _close(self, number: int, how: str) -> _Open:
        self._journal(number).write(how)
        self._look_again = 0.0
        return self._open.pop(number)

    def _abandon(self, reason: str) -> None:
        """Fail what is open and queue it again, for the next time that this run goes on."""
        with self._session.asking():
            for number, trial in self._open.items():
                update(trial.asked, TrialRecord(reason=reason))
                self._journal(number).write(reason)
                self._known.forget(number)
            running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            # one without a session was being asked for, and that was here
            ours = (self._session.id, None)
            self._recover(trial for trial in running if TrialRecord.of(trial).session in ours)
        self._open.clear()

    def _usable(self, point: Values) -> bool:
        return self._candidates.usable(point, self._known.tried)

    def _journal(self, number: int) -> TrialLog:
        return TrialLog(self._run.trial(number) / "log.txt")
