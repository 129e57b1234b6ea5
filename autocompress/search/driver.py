"""The search itself: ask, score before training, train what may reach the front, tell."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from autocompress.distill.recipe import Recipe
from autocompress.errors import AutocompressError, ConfigError
from autocompress.families.base import Config
from autocompress.search.history import AT_STEP
from autocompress.search.inputs import Inputs, Task
from autocompress.search.ledger import Ledger
from autocompress.search.progress import Progress
from autocompress.search.run_folder import RunFolder
from autocompress.search.rungs import HalvingRungs, Point
from autocompress.search.samplers import make_sampler
from autocompress.search.space import Candidate, Values
from autocompress.search.study import ended, open_study, origin, recover
from autocompress.search.trial import Trial, rung_steps

BATCH = 8  # candidates that are scored before training, before the best of them train
ETA = 2  # 1 in so many goes on at a rung...
FIRST = 8  # ...and the first so many do in any case
# what ends a trial and not the search; PyTorch raises RuntimeError for a singular matrix or when memory is short
FAILURES = (AutocompressError, RuntimeError)
TIME_IS_UP = "the time is used up"

Key = tuple[str, str, Config, Recipe]  # of teacher, target, student and training


class _Stopped(Exception):
    """At a rung, for this reason."""


class _TimeIsUp(Exception):
    """With trials that are not trained to the end."""


@dataclass(frozen=True)
class Outcome:
    """How a search ended."""

    reason: str
    interrupted: bool = False


class Driver:
    """Asks the study for candidates and tells it what became of them: the only one that does."""

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
        self._open: dict[int, optuna.Trial] = {}
        bicubic = run.config["references"]["bicubic"]["psnr_y"]
        self._sampler = make_sampler(task.settings, task.branches, self._usable, bicubic)
        self._study = open_study(run.database, self._sampler)
        self._recover()
        self._remember()
        if not self._study.get_trials(deepcopy=False):
            for values in starts:
                self._study.enqueue_trial(dict(values))

    def run(self, inputs: Inputs, deadline: float | None) -> Outcome:
        """Until the trials, the time or the space are used up, or the user interrupts. Nothing stays open."""
        try:
            while (reason := self._end(deadline)) is None:
                self._batch(inputs, deadline)
        except _TimeIsUp:
            self._abandon(TIME_IS_UP)
            return Outcome(TIME_IS_UP)
        except KeyboardInterrupt:
            self._abandon("interrupted")
            return Outcome("interrupted", interrupted=True)
        except BaseException:
            self._abandon("the search broke off")
            raise
        return Outcome(reason)

    def _end(self, deadline: float | None) -> str | None:
        trials = self._task.settings.trials
        if len(ended(self._study)) >= trials:
            return f"all {trials} trials are done"
        if _is_over(deadline):
            return TIME_IS_UP
        if self._sampler.any_usable() is None and not self._waiting():
            return "every config that fits the budget has been tried"
        return None

    def _batch(self, inputs: Inputs, deadline: float | None) -> None:
        """Ask for some candidates, then score and train them, cheapest first.

        A candidate can only be dominated by one that is no dearer, so in this order each is judged by all that matter.
        """
        asked = []
        with self._ledger.during("sampling"):
            for _ in range(min(BATCH, self._task.settings.trials - len(ended(self._study)))):
                if self._sampler.any_usable() is None and not self._waiting():
                    break
                asked.append(self._ask())
        for number, candidate in sorted(asked, key=lambda item: item[1].flops):
            if _is_over(deadline):
                raise _TimeIsUp
            trial = self._scored(number, candidate, inputs)
            if trial is None:
                continue
            if (reason := self._stops_untrained(trial)) is not None:
                self._stop(trial, reason)
            else:
                self._train(trial, deadline)

    def _ask(self) -> tuple[int, Candidate]:
        asked = self._study.ask()
        self._open[asked.number] = asked
        candidate = self._candidate(self._task.branches.suggest(asked), origin(asked))
        self._tried.add(self._key(candidate))
        return asked.number, candidate

    def _stops_untrained(self, trial: Trial) -> str | None:
        """Only a projected student's score says anything before training."""
        if self._task.settings.init != "projection":
            return None
        return self._rungs.stops(0, _point(trial, trial.psnr_before_training))

    def _scored(self, number: int, candidate: Candidate, inputs: Inputs) -> Trial | None:
        """Its student, scored before training; None where it could not be made."""
        try:
            trial = Trial(number, candidate, inputs)
        except FAILURES as error:
            self._fail(number, candidate, error)
            return None
        attributes = {"flops": candidate.flops, "params": candidate.params, f"{AT_STEP}0": trial.psnr_before_training}
        with self._ledger.during("storing"):
            for name, value in attributes.items():
                self._open[number].set_user_attr(name, value)
        self._rungs.record(0, _point(trial, trial.psnr_before_training))
        self._progress.scored(number, candidate, trial.psnr_before_training)
        return trial

    def _train(self, trial: Trial, deadline: float | None) -> None:
        number = trial.number

        def on_step(step: int) -> None:
            self._progress.step(number, step)
            if _is_over(deadline):
                raise _TimeIsUp

        def on_score(step: int, psnr: float) -> None:
            self._open[number].set_user_attr(f"{AT_STEP}{step}", psnr)
            self._progress.at_rung(number, step, psnr)
            self._rungs.record(step, _point(trial, psnr))
            if (reason := self._rungs.stops(step, _point(trial, psnr))) is not None:
                raise _Stopped(reason)

        self._progress.training(number, trial.candidate)
        try:
            trial.train(on_step, on_score)
            metrics = trial.finish(self._run.trial(number))
        except _Stopped as stopped:
            self._stop(trial, str(stopped))
            return
        except FAILURES as error:
            self._fail(number, trial.candidate, error)
            return
        with self._ledger.during("storing"):
            asked = self._open.pop(number)
            for name, value in metrics.items():
                asked.set_user_attr(name, value)
            asked.set_user_attr("seconds", trial.seconds)
            self._study.tell(number, [metrics["psnr_y"], float(trial.candidate.flops)])
        self._progress.finished(number, trial.candidate, metrics["psnr_y"])

    def _stop(self, trial: Trial, reason: str) -> None:
        with self._ledger.during("storing"):
            self._open.pop(trial.number).set_user_attr("reason", reason)
            self._study.tell(trial.number, state=TrialState.PRUNED)
        self._progress.stopped(trial.number, trial.candidate, reason)

    def _fail(self, number: int, candidate: Candidate, error: Exception) -> None:
        self._rungs.forget(number)
        self._open.pop(number).set_user_attr("reason", str(error))
        self._study.tell(number, state=TrialState.FAIL)
        self._progress.failed(number, candidate, str(error))

    def _abandon(self, reason: str) -> None:
        """Fail what is open and queue it again, for the next time that this run goes on."""
        for asked in self._open.values():
            asked.set_user_attr("reason", reason)
        self._recover()
        self._open.clear()

    def _recover(self) -> None:
        recover(self._study, self._run.objectives, self._task.branches.is_whole)

    def _candidate(self, point: Values, number: int) -> Candidate:
        """Trained with a seed of its own."""
        recipe = Recipe(steps=self._task.settings.steps, seed=self._task.settings.seed + number)
        return self._task.branches.candidate(point, recipe)

    def _key(self, candidate: Candidate) -> Key:
        """The same for the same training but for its seed, in whatever space."""
        branch = self._task.branches[candidate.space]
        return branch.teacher_digest, branch.target_digest, *candidate.key

    def _usable(self, point: Values) -> bool:
        try:
            candidate = self._candidate(point, 0)
        except ConfigError:
            return False
        allowed = self._task.settings.budget.allows(candidate.flops, candidate.params)
        return allowed and self._key(candidate) not in self._tried

    def _remember(self) -> None:
        """What earlier sessions of this run tried and scored."""
        for trial in filter(lambda trial: self._task.branches.is_whole(trial.params), ended(self._study)):
            self._tried.add(self._key(self._candidate(trial.params, 0)))
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state != TrialState.FAIL:
                for rung, point in _recorded(trial):
                    self._rungs.record(rung, point)

    def _waiting(self) -> bool:
        return bool(self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))


def _point(trial: Trial, psnr: float) -> Point:
    return Point(trial.number, psnr, trial.candidate.flops)


def _recorded(trial: FrozenTrial) -> list[tuple[int, Point]]:
    """The rungs that a trial has been scored at."""
    return [
        (int(name.removeprefix(AT_STEP)), Point(trial.number, psnr, trial.user_attrs["flops"]))
        for name, psnr in trial.user_attrs.items()
        if name.startswith(AT_STEP)
    ]


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
