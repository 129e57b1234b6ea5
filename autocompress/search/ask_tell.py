"""Asking a run's study for trials and telling it how they go and end, beside other sessions of the same run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from autocompress.evaluation.records import score_of
from autocompress.search.pareto import Point
from autocompress.search.run.dashboard_writer import DashboardWriter
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.history import TrialHistory
from autocompress.search.run.record import TrialRecord, update
from autocompress.search.run.recovery import rebuild, sweep
from autocompress.search.run.sessions import Session
from autocompress.search.run.study import ended, enqueue, fail, open_study, ordinal, origin, recover
from autocompress.search.sampling.factory import make_sampler
from autocompress.search.sampling.feasible_sampler import FeasibleSampler
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.space.search_space import Candidate, Values
from autocompress.search.stopping import StoppingRule
from autocompress.search.task import Task
from autocompress.search.trial.messages import Job
from autocompress.units import quantity

MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class OpenTrial:
    """A trial that this session has asked for and whose end it has not told yet."""

    asked: optuna.Trial
    candidate: Candidate


@dataclass(frozen=True)
class AskTell:
    """A run's study, and the trials that this session works on.

    Other sessions may work on the same study: only one of them at a time, in `Session.asking`, asks for trials and
    queues failed ones again.
    """

    task: Task
    feasible: FeasibleSet
    run: RunFolder
    session: Session
    study: Study
    sampler: FeasibleSampler
    history: TrialHistory
    dashboard: DashboardWriter
    open_trials: dict[int, OpenTrial] = field(default_factory=dict)  # by number

    def ask(self, on_room: Callable[[int], None]) -> Job | None:
        """Ask for a trial; None if enough were asked for or nothing is left to try. `on_room` gets how many remain."""
        self.run.check_there()
        with self.session.asking():
            trials = self._up_to_date()
            states = Counter(trial.state for trial in trials)
            room = self._room(trials)
            on_room(room)
            if room <= states[TrialState.RUNNING]:
                return None
            if not states[TrialState.WAITING] and self.sampler.any_allowed() is None:
                return None
            trial = self._ask()
        return self._job(trial)

    def report(self, number: int, step: int, psnr: float) -> None:
        """Tell a trial's PSNR-Y in dB at a rung; step 0 is before training."""
        trial = self.open_trials[number]
        update(trial.asked, TrialRecord(at_step={step: psnr}))
        self._log(number, f"{psnr:.4f} dB after {quantity(step, 'step')}")
        self.history.add_score(step, Point(number, psnr, trial.candidate.cost))
        if not self.session.alone():
            self.history.update(self._trials())

    def why_stop(self, number: int, step: int, psnr: float) -> str | None:
        """Why a trial should end at a rung that was reported, or None where it may go on."""
        if step == 0 and self.task.settings.init != "projection":  # scores before training say nothing then
            return None
        return self.history.rule.stops(step, Point(number, psnr, self.open_trials[number].candidate.cost))

    def complete(self, number: int, metrics: dict[str, float], seconds: dict[str, float]) -> Candidate:
        """Tell that a trial has trained to its end, with these mean scores."""
        trial = self._close(number, f"finished with {score_of(metrics):.4f} dB")
        self.dashboard.finished(number, metrics, seconds)
        self.study.tell(number, [score_of(metrics), float(trial.candidate.cost)])
        self.run.remove_state(origin(trial.asked))
        return trial.candidate

    def prune(self, number: int, reason: str) -> Candidate:
        """Tell that a trial was stopped at a rung."""
        trial = self._close(number, f"stopped: {reason}")
        self.dashboard.stopped(number, reason)
        self.study.tell(number, state=TrialState.PRUNED)
        self.run.remove_state(origin(trial.asked))
        return trial.candidate

    def fail(self, number: int, reason: str, again: bool) -> Candidate:
        """Tell that a trial has failed; with `again`, and if it has not failed too often, it is queued once more."""
        with self.session.asking():
            trial = self._close(number, f"failed: {reason}")
            again = again and TrialRecord.of(trial.asked).attempts + 1 < MAX_ATTEMPTS
            self.dashboard.failed(number, reason, again)
            self.history.forget_scores(number)
            fail(self.study, number, again=again, failed_attempt=True)
            if not again:
                self.run.remove_state(origin(trial.asked))
        return trial.candidate

    def abandon(self, reason: str) -> None:
        """Fail this session's trials and queue them again, for when the run is resumed."""
        with self.session.asking():
            for number, trial in self.open_trials.items():
                update(trial.asked, TrialRecord(reason=reason))
                self._log(number, reason)
                self.history.forget_scores(number)
            running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            # a running trial without a session was just being asked for, by this session
            ours = (self.session.id, None)
            self._recover(trial for trial in running if TrialRecord.of(trial).session in ours)
        self.open_trials.clear()

    def clean_up(self) -> None:
        """Remove what killed sessions left in the run folder."""
        with self.session.asking():
            sweep(self.run, self._trials())
            self.session.remove_stale_locks()

    def room(self) -> int:
        """How many of the wanted trials have not ended yet, counting those of all sessions."""
        return self._room(self._trials())

    def others_work(self) -> bool:
        """Whether other sessions have unfinished trials, which this session may have to take over."""
        trials = self._trials()
        states = {trial.state for trial in trials}
        return TrialState.RUNNING in states or (TrialState.WAITING in states and self._room(trials) > 0)

    def _trials(self) -> Sequence[FrozenTrial]:
        """All trials of the study as they are now, read from the storage."""
        return self.study.get_trials(deepcopy=False)

    def _room(self, trials: Sequence[FrozenTrial]) -> int:
        return self.task.settings.trials - len(ended(trials))

    def _up_to_date(self) -> Sequence[FrozenTrial]:
        """All trials as they are now, after telling the ends of those that dead sessions left running."""
        trials = self._trials()
        running = (trial for trial in trials if trial.state == TrialState.RUNNING)
        theirs = [trial for trial in running if trial.number not in self.open_trials]
        sessions = {trial.number: TrialRecord.of(trial).session for trial in theirs}
        alive = {session for session in set(sessions.values()) if self.session.alive(session)}
        if lost := [trial for trial in theirs if sessions[trial.number] not in alive]:
            self._recover(lost)
            trials = self._trials()
        self.history.update(trials)
        return trials

    def _recover(self, lost: Iterable[FrozenTrial]) -> None:
        recover(self.study, lost, self.dashboard.recovered, self.task.joint_space.is_whole)

    def _ask(self) -> OpenTrial:
        asked = self.study.ask()
        update(asked, TrialRecord(session=self.session.id))
        place = ordinal(asked, self._trials())
        point = self.task.joint_space.suggest(asked)
        candidate = self.feasible.candidate(point, self.task.recipe_of(place))
        self.feasible.mark_tried(point)
        update(asked, self.dashboard.record_of(candidate))
        self.open_trials[asked.number] = OpenTrial(asked, candidate)
        return self.open_trials[asked.number]

    def _job(self, trial: OpenTrial) -> Job:
        number = trial.asked.number
        update(trial.asked, TrialRecord(begun=time.time()))
        self._log(number, f"begins, attempt {TrialRecord.of(trial.asked).attempts + 1}: {trial.candidate}")
        state_file = self.run.trial(origin(trial.asked)) / "state.pt"
        return Job(number, trial.candidate, self.run.trial(number), state_file)

    def _close(self, number: int, how: str) -> OpenTrial:
        self._log(number, how)
        return self.open_trials.pop(number)

    def _log(self, number: int, what: str) -> None:
        self.run.log(number).write(what)


def open_ask_tell(
    task: Task,
    feasible: FeasibleSet,
    run: RunFolder,
    session: Session,
    starts: Iterable[Values],
    rule: StoppingRule,
) -> AskTell:
    """Open a run's study for a session that has been entered; a new study gets `starts` as its first trials.

    A study that was lost is made again from its students, and what killed sessions have left is cleaned up.
    """
    history = TrialHistory(feasible.mark_tried, rule)
    bicubic = run.config.references.bicubic.score
    sampler = make_sampler(task.settings.sampler, feasible, task.settings.seed, bicubic)
    with session.asking():
        storage = session.place.open(run)
        study = open_study(storage, session.place.study, sampler, feasible.costs.metric)
        dashboard = DashboardWriter(storage, session.place.study, run)
        dashboard.describe_study(again=task.settings.extend)
        if not rebuild(study, run, task.joint_space, task.settings.seed):
            enqueue(study, starts)
        opened = AskTell(task, feasible, run, session, study, sampler, history, dashboard)
        sweep(run, opened._up_to_date())
        session.remove_stale_locks()
    return opened
