"""How a running search looks: live lines on a terminal, plain lines in a pipe or a log file. All on stderr."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from autocompress.distill.recipe import VARIABLE
from autocompress.quantities import format_count, format_duration
from autocompress.search import Progress
from autocompress.search.space import Candidate


def make_display(trials: int, steps: int) -> Display:
    """A live one on a terminal, a plain one elsewhere."""
    console = Console(stderr=True, highlight=False)
    return LiveDisplay(console, trials, steps) if console.is_terminal else Display(console, trials, steps)


def step_display(steps: int) -> StepDisplay:
    """For a single training."""
    return StepDisplay(Console(stderr=True, highlight=False), steps)


class StepDisplay:
    """Lines for a training of so many steps, on a terminal with a bar below them."""

    LINES = 20  # over a whole training, where nothing can be drawn anew

    def __init__(self, console: Console, steps: int) -> None:
        self._steps, self._console = steps, console
        self._first: tuple[int, float] | None = None
        self._bar = Bars(
            BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
        )
        self._task = self._bar.add_task("", total=steps)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def log(self, text: str) -> None:
        """One line."""
        self._console.print(text, soft_wrap=True, markup=False)

    def step(self, step: int) -> None:
        """So many steps are done."""
        self._bar.update(self._task, completed=step)
        now = time.monotonic()
        if self._first is None:
            self._first = step, now
        elif (
            not self._console.is_terminal and step * self.LINES // self._steps > (step - 1) * self.LINES // self._steps
        ):
            first, start = self._first
            left = (now - start) / (step - first) * (self._steps - step)
            self.log(
                f"step {step}/{self._steps}  {format_duration(now - start)} gone, about {format_duration(left)} left"
            )


class Display(Progress):
    """A line for each thing that happens."""

    def __init__(self, console: Console, trials: int, steps: int) -> None:
        self.console = console
        self.trials = trials
        self.steps = steps
        self.ended = 0
        self.best = float("-inf")
        self.started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def log(self, text: str, style: str | None = None) -> None:
        """One line, never wrapped: a log file has no width."""
        self.console.print(text, style=style, soft_wrap=True, markup=False)

    def stage(self, what: str) -> None:
        """See `Progress`; as are all that follow."""
        self.log(f"... {what}", "dim")

    def prepared(self, facts: list[str]) -> None:
        for fact in facts:
            self.log(fact)

    def scored(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self.log(f"{_name(trial, candidate)}  {psnr:6.2f} dB before training", "dim")

    def training(self, trial: int, candidate: Candidate) -> None:
        self.log(f"{_name(trial, candidate)}  training: {_recipe(candidate)}")

    def step(self, trial: int, step: int) -> None:
        return None

    def at_rung(self, trial: int, step: int, psnr: float) -> None:
        self.log(f"trial {trial:3}  step {step}/{self.steps}  {psnr:6.2f} dB  {self.time_left()}")

    def finished(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self.ended += 1
        self.best = max(self.best, psnr)
        self.log(f"{_name(trial, candidate)}  {psnr:6.2f} dB after {self.steps} steps  {self.time_left()}", "bold")

    def stopped(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.ended += 1
        self.log(f"{_name(trial, candidate)}  stopped: {reason}", "dim")

    def failed(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.ended += 1
        self.log(f"{_name(trial, candidate)}  FAILED: {reason}", "red")

    def time_left(self, done: float = 0.0) -> str:
        """From the time of the trials so far, and the share of the current one that is done."""
        elapsed = time.monotonic() - self.started
        share = (self.ended + done) / self.trials
        left = format_duration(elapsed / share - elapsed) if share > 0 else "?"
        return f"{format_duration(elapsed)} gone, about {left} left"


class LiveDisplay(Display):
    """The same lines, with what is going on now below them."""

    def __init__(self, console: Console, trials: int, steps: int) -> None:
        super().__init__(console, trials, steps)
        self._now = ""
        self._step = 0
        self._so_far = ""
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._render)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def stage(self, what: str) -> None:
        self._now = what

    def prepared(self, facts: list[str]) -> None:
        super().prepared(facts)
        self._now = "making students and scoring them before training"

    def scored(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self._now, self._step, self._so_far = _name(trial, candidate), 0, f"{psnr:.2f} dB before training"

    def training(self, trial: int, candidate: Candidate) -> None:
        self._now, self._step, self._so_far = f"{_name(trial, candidate)}  {_recipe(candidate)}", 0, ""

    def step(self, trial: int, step: int) -> None:
        self._step = step

    def at_rung(self, trial: int, step: int, psnr: float) -> None:
        self._so_far = f"{psnr:.2f} dB so far"

    def _render(self) -> Group:
        overall = f"trial {self.ended}/{self.trials}, {self.time_left(self._step / self.steps)}"
        if self.best > 0:
            overall += f", best {self.best:.2f} dB"
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(self.steps, self._step, width=30), f"step {self._step}/{self.steps}", self._so_far)
        return Group(Text(self._now, overflow="ellipsis", no_wrap=True), bar, Text(overall, style="cyan"))


def _name(trial: int, candidate: Candidate) -> str:
    counts = " ".join(f"{k}={v}" for k, v in candidate.values.items() if k not in VARIABLE)
    latency = "" if candidate.latency is None else f" {candidate.latency:7.1f} ms"
    return f"trial {trial:3}  {candidate.space} {counts:24} {format_count(candidate.flops):>7} FLOPs{latency}"


def _recipe(candidate: Candidate) -> str:
    return " ".join(f"{k}={v}" for k, v in candidate.values.items() if k in VARIABLE)
