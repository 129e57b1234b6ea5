"""The one loop of a search: ask for a candidate, hand it out, poll for messages, judge at rungs, tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace

from autocompress.errors import DiskFull
from autocompress.evaluation.records import score_of
from autocompress.search.ask_tell import AskTell
from autocompress.search.backends.base import Backend
from autocompress.search.callbacks import SearchCallback
from autocompress.search.run.logs import SessionTimes
from autocompress.search.timer import PhaseTimer
from autocompress.search.trial.messages import Failed, Finished, Job, Message, PartDone, RungReached, StepDone

POLL = 0.5  # seconds to wait for messages before the clock is looked at
LOOK_EVERY = 1.0  # seconds between looks whether there is anything to do again, where there was nothing
TIMES_EVERY = 2.0  # seconds between writings of where the time goes
TIME_IS_UP = "the time is used up"


class _TimeIsUp(Exception):
    """The deadline has passed while trials are running."""


@dataclass(frozen=True)
class Outcome:
    """How a search ended."""

    reason: str
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        """Whether nothing was left to do: neither the user nor the clock ended it."""
        return not self.interrupted and not self.reason.endswith(TIME_IS_UP)

    def then(self, what: str, ended: Outcome) -> Outcome:
        """The outcome of what followed, with how both ended; `what` is its name for people."""
        return replace(ended, reason=f"{self.reason}; {what}: {ended.reason}")


class Tuner:
    """The loop of one session: asks the study for trials, hands them to a backend, and tells the study how they end.

    `deadline` is the time of `clock`, in seconds, at which the session ends.
    """

    def __init__(
        self,
        study: AskTell,
        callback: SearchCallback,
        timer: PhaseTimer,
        deadline: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study = study
        self._callback = callback
        self._timer = timer
        self._deadline = deadline
        self._clock = clock
        self._ask_again = 0.0  # when, after there was nothing to ask for
        self._write_times_again = 0.0

    def run(self, backend: Backend) -> Outcome:
        """Run until the trials, the time or the space are used up, or the user interrupts; no trial is left running."""
        try:
            with closing(backend):
                self._loop(backend)
        except _TimeIsUp:
            self._study.abandon(TIME_IS_UP)
            return Outcome(TIME_IS_UP)
        except KeyboardInterrupt:
            self._study.abandon("interrupted")
            return Outcome("interrupted", interrupted=True)
        except BaseException:
            with suppress(Exception):  # if it cannot be told now, the next session finds them
                self._study.abandon("the search broke off")
            raise
        self._study.clean_up()
        if self._study.room() <= 0:
            wanted = self._study.task.settings.trials
            return Outcome("the only trial is done" if wanted == 1 else f"all {wanted} trials are done")
        return Outcome("every config that fits the budget has been tried")

    def write_times(self) -> None:
        """Write down where this session's time went, up to now."""
        study = self._study
        with suppress(DiskFull), self._timer.during("storing"), study.session.asking():
            study.run.write_times(SessionTimes(session=study.session.id, **self._timer.to_dict()))
        self._write_times_again = self._clock() + TIMES_EVERY

    def _loop(self, backend: Backend) -> None:
        while True:
            self._look_at_the_clock()
            job = self._next_job() if backend.free_slots() else None
            if job is not None:
                backend.start(job)
            if self._study.open_trials:
                # to ask takes a moment, for which no trial need wait at its rung: one is asked for at a time
                for message in backend.poll(0.0 if job is not None else POLL):
                    self._handle(message, backend)
            elif self._study.others_work():
                backend.poll(0.0)  # which may give back what others wait for
                time.sleep(LOOK_EVERY)
            else:
                return

    def _look_at_the_clock(self) -> None:
        now = self._clock()
        if now >= self._write_times_again:
            self.write_times()
        if self._deadline is not None and now >= self._deadline and self._study.room() > 0:
            raise _TimeIsUp

    def _next_job(self) -> Job | None:
        # where there was nothing, another session may have changed that, which is seen a little later, or the end of a
        # trial of this one, which is seen at once
        if self._clock() < self._ask_again:
            return None
        with self._timer.during("sampling"):
            job = self._study.ask(self._callback.on_trials_left)
        if job is None:
            self._ask_again = self._clock() + LOOK_EVERY
        return job

    def _handle(self, message: Message, backend: Backend) -> None:
        if message.number not in self._study.open_trials:  # it was stopped just now: late messages are ignored
            return
        match message:
            case PartDone(number, part, share):
                self._callback.on_part(number, self._study.open_trials[number].candidate, part, share)
            case StepDone(number, step):
                self._callback.on_step(number, step)
            case RungReached():
                self._judge(message, backend)
            case Finished():
                self._complete(message)
            case Failed(number, ends_search=False):
                # it may have died after its end, before it could say so
                student = self._study.run.student(number)
                if student is None:
                    self._fail(message)
                else:
                    self._complete(Finished(number, dict(student.metrics), dict(student.provenance.seconds)))
            case Failed(reason=reason):
                raise DiskFull(reason)

    def _judge(self, rung: RungReached, backend: Backend) -> None:
        """Decide whether a trial that has reached a rung goes on, and tell the backend."""
        number, step, psnr = rung.number, rung.step, rung.psnr
        candidate = self._study.open_trials[number].candidate
        with self._timer.during("storing"):
            self._study.report(number, step, psnr)
        if step == 0:
            self._callback.on_trial_start(number, candidate, psnr)
        else:
            self._callback.on_rung(number, step, psnr)
        if (reason := self._study.why_stop(number, step, psnr)) is not None:
            backend.stop(number)
            self._prune(number, reason)
            return
        if step == 0:
            self._callback.on_training_start(number, candidate)
        backend.resume(number)

    def _prune(self, number: int, reason: str) -> None:
        with self._timer.during("storing"):
            candidate = self._study.prune(number, reason)
        self._callback.on_trial_pruned(number, candidate, reason)
        self._ask_again = 0.0

    def _complete(self, end: Finished) -> None:
        with self._timer.during("storing"):
            candidate = self._study.complete(end.number, end.metrics, end.seconds)
        self._callback.on_trial_complete(end.number, candidate, score_of(end.metrics))
        self._ask_again = 0.0

    def _fail(self, end: Failed) -> None:
        with self._timer.during("storing"):
            candidate = self._study.fail(end.number, end.reason, end.again)
        self._callback.on_trial_fail(end.number, candidate, end.reason)
        self._ask_again = 0.0
