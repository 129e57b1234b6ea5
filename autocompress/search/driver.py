"""The search itself: ask for candidates, decide at each rung who goes on, and tell the study what became of them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from autocompress.distill.recipe import Recipe
from autocompress.errors import ConfigError
from autocompress.search.branches import Key
from autocompress.search.history import AT_STEP, asked_before
from autocompress.search.inputs import Task
from autocompress.search.journal import Journal
from autocompress.search.ledger import Ledger
from autocompress.search.progress import Progress
from autocompress.search.run_folder import RunFolder
from autocompress.search.rungs import HalvingRungs, Point
from autocompress.search.samplers import make_sampler
from autocompress.search.space import Candidate, Values
from autocompress.search.study import attempts, ended, fail, open_study, origin, recover
from autocompress.search.trial import rung_steps
from autocompress.search.work import AtRung, Engine, Failed, Finished, Job, Report, Step

ETA = 2  # 1 in so many goes on at a rung...
FIRST = 8  # ...and the first so many do in any case
START = "start"  # the user attribute with the place of a first trial among them
MAX_ATTEMPTS = 3
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

    @property
    def origin(self) -> int:
        return origin(self.asked)


class Driver:
    """Asks the study for candidates and tells it what became of them: the only one that does.

    An engine works on them and reports; see `Source`.
    """

    def __init__(
        self, task: Task, run: RunFolder, progress: Progress, starts: Iterable[Values], ledger: Ledger
    ) -> None:
        """`starts` are the first points, as the study has them."""
        self._ledger = ledger
        self._task = task
        self._run = run
        self._progress = progress
        # at a third of the training alone: what scores before say is right too rarely (benchmarks/samplers.py)
        self._rungs = HalvingRungs(ETA, FIRST, at=rung_steps(task.settings.steps)[-2:-1])
        self._tried: set[Key] = set()
        self._open: dict[int, _Open] = {}
        self._deadline: float | None = None
        bicubic = run.config["references"]["bicubic"]["psnr_y"]
        self._sampler = make_sampler(task.settings, task.branches, self._usable, bicubic)
        self._study = open_study(run.database, self._sampler)
        self._enqueue(starts)
        recover(self._study, run.objectives, task.branches.is_whole)
        self._remember()

    def run(self, engine: Engine, deadline: float | None) -> Outcome:
        """Until the trials, the time or the space are used up, or the user interrupts. Nothing stays open."""
        self._deadline = deadline
        try:
            self.check()
            engine.run(self)
        except _TimeIsUp:
            self._abandon(TIME_IS_UP)
            return Outcome(TIME_IS_UP)
        except KeyboardInterrupt:
            self._abandon("interrupted")
            return Outcome("interrupted", interrupted=True)
        except BaseException:
            self._abandon("the search broke off")
            raise
        trials = self._task.settings.trials
        if len(ended(self._study)) >= trials:
            return Outcome(f"all {trials} trials are done")
        return Outcome("every config that fits the budget has been tried")

    def check(self) -> None:
        """See `Source.check`."""
        if self._deadline is not None and time.monotonic() >= self._deadline and self._room() > 0:
            raise _TimeIsUp

    def next_job(self) -> Job | None:
        """See `Source.next_job`."""
        self.check()
        with self._ledger.during("sampling"):
            number = self._ask()
        if number is None:
            return None
        trial = self._open[number]
        self._journal(number).write(f"begins, attempt {attempts(trial.asked) + 1}: {trial.candidate}")
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
            case AtRung(number, step, psnr):
                return self._judge(number, step, psnr)
            case Finished(number, metrics, seconds):
                self._finish(number, metrics, seconds)
                self._progress.finished(number, candidate, metrics["psnr_y"])
            case Failed(number, reason, again):
                self._fail(number, reason, again)
                self._progress.failed(number, candidate, reason)
        return False

    def _room(self) -> int:
        """How many trials may still be asked for or ended."""
        return self._task.settings.trials - len(ended(self._study))

    def _ask(self) -> int | None:
        """The number of one more trial, unless there are enough, or nothing is left to try."""
        if self._room() <= len(self._open) or (not self._waiting() and self._sampler.any_usable() is None):
            return None
        asked = self._study.ask()
        candidate = self._candidate(self._task.branches.suggest(asked), asked_before(self._study, asked))
        self._tried.add(self._task.branches.key(candidate))
        asked.set_user_attr("flops", candidate.flops)
        asked.set_user_attr("params", candidate.params)
        self._open[asked.number] = _Open(asked, candidate)
        return asked.number

    def _judge(self, number: int, step: int, psnr: float) -> bool:
        """At a rung, whether it goes on."""
        trial = self._open[number]
        candidate, point = trial.candidate, Point(number, psnr, trial.candidate.flops)
        with self._ledger.during("storing"):
            trial.asked.set_user_attr(f"{AT_STEP}{step}", psnr)
            self._journal(number).write(f"{psnr:.4f} dB after {step} steps")
        self._rungs.record(step, point)
        if step == 0:
            self._progress.scored(number, candidate, psnr)
        else:
            self._progress.at_rung(number, step, psnr)
        reason = self._rungs.stops(step, point)
        if reason is not None:
            self._stop(number, reason)
            self._progress.stopped(number, candidate, reason)
        elif step == 0:
            self._progress.training(number, candidate)
        return reason is None

    def _finish(self, number: int, metrics: dict[str, float], seconds: dict[str, float]) -> None:
        with self._ledger.during("storing"):
            trial = self._close(number, f"finished with {metrics['psnr_y']:.4f} dB")
            for name, value in metrics.items():
                trial.asked.set_user_attr(name, value)
            trial.asked.set_user_attr("seconds", seconds)
            self._study.tell(number, [metrics["psnr_y"], float(trial.candidate.flops)])
            self._run.remove_state(trial.origin)

    def _stop(self, number: int, reason: str) -> None:
        with self._ledger.during("storing"):
            trial = self._close(number, f"stopped: {reason}")
            trial.asked.set_user_attr("reason", reason)
            self._study.tell(number, state=TrialState.PRUNED)
            self._run.remove_state(trial.origin)

    def _fail(self, number: int, reason: str, again: bool) -> None:
        """For good, or to be tried again, from its last rung."""
        with self._ledger.during("storing"):
            trial = self._close(number, f"failed: {reason}")
            trial.asked.set_user_attr("reason", reason)
            again = again and attempts(trial.asked) + 1 < MAX_ATTEMPTS
            self._rungs.forget(number)
            fail(self._study, number, again=again, failed_attempt=True)
            if not again:
                self._run.remove_state(trial.origin)

    def _close(self, number: int, how: str) -> _Open:
        self._journal(number).write(how)
        return self._open.pop(number)

    def _abandon(self, reason: str) -> None:
        """Fail what is open and queue it again, for the next time that this run goes on."""
        for number, trial in self._open.items():
            trial.asked.set_user_attr("reason", reason)
            self._journal(number).write(reason)
            self._rungs.forget(number)
        recover(self._study, self._run.objectives, self._task.branches.is_whole)
        self._open.clear()

    def _enqueue(self, starts: Iterable[Values]) -> None:
        """Those that an earlier session has not, if it came so far."""
        trials = self._study.get_trials(deepcopy=False)
        if any(trial.state != TrialState.WAITING for trial in trials):
            return  # it came further
        there = {trial.user_attrs.get(START) for trial in trials}
        for place, values in enumerate(starts):
            if place not in there:
                self._study.enqueue_trial(dict(values), user_attrs={START: place})

    def _candidate(self, point: Values, place: int) -> Candidate:
        """Trained with a seed of its own, by its place among all that were asked for, retries not counted."""
        recipe = Recipe(steps=self._task.settings.steps, seed=self._task.settings.seed + place)
        return self._task.branches.candidate(point, recipe)

    def _usable(self, point: Values) -> bool:
        try:
            candidate = self._candidate(point, 0)
        except ConfigError:
            return False
        allowed = self._task.settings.budget.allows(candidate.flops, candidate.params)
        return allowed and self._task.branches.key(candidate) not in self._tried

    def _remember(self) -> None:
        """What earlier sessions of this run tried and scored."""
        for trial in filter(lambda trial: self._task.branches.is_whole(trial.params), ended(self._study)):
            self._tried.add(self._task.branches.key(self._candidate(trial.params, 0)))
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state != TrialState.FAIL:
                for rung, point in _recorded(trial):
                    self._rungs.record(rung, point)

    def _waiting(self) -> bool:
        return bool(self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def _journal(self, number: int) -> Journal:
        return Journal(self._run.trial(number) / "log.txt")


def _recorded(trial: FrozenTrial) -> list[tuple[int, Point]]:
    """The rungs that a trial has been scored at."""
    return [
        (int(name.removeprefix(AT_STEP)), Point(trial.number, psnr, trial.user_attrs["flops"]))
        for name, psnr in trial.user_attrs.items()
        if name.startswith(AT_STEP)
    ]
