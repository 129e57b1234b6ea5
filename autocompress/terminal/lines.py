"""A running search by one line for each event, for a pipe or a log file."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from typing_extensions import override

from autocompress.distill import VARIABLE
from autocompress.progress import QUICK
from autocompress.search.callbacks import SearchCallback
from autocompress.search.space.search_space import Candidate
from autocompress.terminal.steps import write_line
from autocompress.units import decibels, format_count, format_duration, quantity


class Display(SearchCallback):
    """The plain display: one line for each event."""

    def __init__(self, console: Console, trials: int, steps: int) -> None:
        self.console = console
        self.trials = trials
        self.steps = steps
        self.left = trials
        self.best = float("-inf")
        self.started = time.monotonic()
        self._pace: tuple[int, float] | None = None  # trials left at this session's first, and the time then
        self.refining_ends: float | None = None  # when the time for refining is used up, if that is limited
        self.gained = 0.0  # dB by refining, of all students together
        self._parts: dict[int, tuple[str, float]] = {}  # by trial: what is done for it, and when that was told last

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def log(self, text: str, style: str | None = None) -> None:
        """Write one line; see `write_line`."""
        write_line(self.console, text, style)

    @override
    def on_stage(self, what: str) -> None:
        self.log(f"... {what}", "dim")

    @override
    def on_prepared(self, facts: list[str]) -> None:
        for fact in facts:
            self.log(fact)

    @override
    def on_trials_left(self, trials: int) -> None:
        self.left = trials
        if self._pace is None:
            self._pace = trials, time.monotonic()

    @override
    def on_trial_start(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self.log(f"{name_of(trial, candidate)}  {decibels(psnr):>6} dB before training", "dim")

    @override
    def on_part(self, trial: int, candidate: Candidate, part: str, share: float) -> None:
        now, (before, told) = time.monotonic(), self._parts.get(trial, ("", 0.0))
        if part != before or not share:
            self._parts[trial] = part, now
        elif now - told > QUICK:
            self._parts[trial] = part, now
            self.log(f"{name_of(trial, candidate)}  {part}: {share:.0%}", "dim")

    @override
    def on_training_start(self, trial: int, candidate: Candidate) -> None:
        self.log(f"{name_of(trial, candidate)}  training: {recipe_of(candidate)}")

    @override
    def on_rung(self, trial: int, step: int, psnr: float) -> None:
        self.log(f"trial {trial:3}  step {step}/{self.steps}  {decibels(psnr):>6} dB  {self.time_left()}")

    @override
    def on_trial_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self.left -= 1
        self.best = max(self.best, psnr)
        self.log(f"{name_of(trial, candidate)}  {decibels(psnr):>6} dB{self._when()}", "bold")

    @override
    def on_trial_pruned(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.left -= 1
        self.log(f"{name_of(trial, candidate)}  stopped: {reason}", "dim")

    @override
    def on_trial_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.left -= 1
        self.log(f"{name_of(trial, candidate)}  FAILED: {reason}", "red")

    @override
    def on_refinement(self, students: int, seconds: float | None) -> None:
        self.refining_ends = None if seconds is None else time.monotonic() + seconds
        limit = "" if seconds is None else f" for {format_duration(seconds)}"
        self.log(f"refining the front (students: {students}){limit}")

    @override
    def on_piece_start(self, trial: int, candidate: Candidate, steps: int, psnr: float) -> None:
        self.log(
            f"{name_of(trial, candidate)}  {decibels(psnr):>6} dB, trains for {quantity(steps, 'step')} more", "dim"
        )

    @override
    def on_piece_end(self, trial: int, candidate: Candidate, before: float, after: float) -> None:
        self.gained += after - before
        change = f"{after - before:+.3f} dB" if after > before else "no better: stays as it was"
        self.log(f"{name_of(trial, candidate)}  {decibels(after):>6} dB  {change}", "bold" if after > before else None)

    def on_repeats(self, trainings: int) -> None:
        self.log(f"... training the front's students again with other seeds: {trainings} to do", "dim")

    @override
    def on_repeat_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self.log(
            f"{name_of(trial, candidate)}  {decibels(psnr):>6} dB when trained again with seed {candidate.recipe.seed}"
        )

    @override
    def on_repeat_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.log(f"{name_of(trial, candidate)}  FAILED when trained again: {reason}", "red")

    def _when(self) -> str:
        """After how many steps a trial has ended, and the time."""
        return f" after {quantity(self.steps, 'step')}  {self.time_left()}"

    def time_left(self, done: float = 0.0) -> str:
        """The time so far, and what is left by the pace of this session's trials, once one has a share done.

        `done` is the share of running trials done.
        """
        now = time.monotonic()
        first, start = self._pace or (self.left, now)
        ended = first - self.left + done
        gone = f"{format_duration(now - self.started)} gone"
        if ended <= 0:
            return gone
        return f"{gone}, about {format_duration((now - start) / ended * max(0.0, self.left - done))} left"


def name_of(trial: int, candidate: Candidate) -> str:
    """A trial and its student in a few words."""
    counts = " ".join(f"{k}={v}" for k, v in candidate.values.items() if k not in VARIABLE)
    latency = "" if candidate.latency is None else f" {candidate.latency:7.1f} ms"
    return f"trial {trial:3}  {candidate.space} {counts:24} {format_count(candidate.flops):>7} FLOPs{latency}"


def recipe_of(candidate: Candidate) -> str:
    """How a student is trained, where that varies."""
    return " ".join(f"{k}={v}" for k, v in candidate.values.items() if k in VARIABLE)
