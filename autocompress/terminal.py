"""The display of a running search, on stderr: live lines on a terminal, plain lines in a pipe or a log file."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from autocompress.distill.recipe import VARIABLE
from autocompress.search.callbacks import SearchCallback
from autocompress.search.space.search_space import Candidate
from autocompress.units import format_count, format_duration

Item = TypeVar("Item")
LINE_EVERY = 10  # seconds


def make_display(trials: int, steps: int, quiet: bool = False) -> Display:
    """A live display on a terminal that can redraw lines, else a plain one; with `quiet` it shows nothing."""
    console = _console(quiet)
    return LiveDisplay(console, trials, steps) if _can_draw(console) else Display(console, trials, steps)


def step_display(steps: int, what: str = "step", quiet: bool = False) -> StepDisplay:
    """A display for a single training, or for other work that consists of so many `what`."""
    return StepDisplay(_console(quiet), steps, what)


def counted(items: Iterable[Item], total: int, what: str, quiet: bool = False) -> Iterator[Item]:
    """Iterate over the items and show how many are done: a bar on a terminal, else a line at most every ten seconds."""
    console, told = _console(quiet), time.monotonic()
    with _bars(console, TextColumn("{task.description}")) as bar:
        task = bar.add_task(what, total=total)
        for index, item in enumerate(items):
            yield item
            bar.update(task, completed=index + 1)
            if not _can_draw(console) and time.monotonic() - told > LINE_EVERY:
                told = time.monotonic()
                console.print(f"{what}: {index + 1}/{total}", soft_wrap=True, markup=False)


def _console(quiet: bool = False) -> Console:
    """A console that writes to stderr, in a notebook too."""
    return Console(stderr=True, highlight=False, quiet=quiet, force_jupyter=False)


def _can_draw(console: Console) -> bool:
    """Whether lines can be redrawn."""
    return console.is_terminal and not console.is_dumb_terminal and not console.quiet


def _bars(console: Console, *first: ProgressColumn) -> Bars:
    columns = (*first, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Bars(*columns, console=console, transient=True, disable=not _can_draw(console))


class StepDisplay:
    """Lines for a training of so many steps, or similar work; on a terminal with a bar below them."""

    LINES = 20  # for a whole training, where lines cannot be redrawn

    def __init__(self, console: Console, steps: int, what: str = "step") -> None:
        self._steps, self._console, self._what = steps, console, what
        self._first: tuple[int, float] | None = None
        self._bar = _bars(console)
        self._task = self._bar.add_task("", total=steps)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def log(self, text: str) -> None:
        """Write one line."""
        self._console.print(text, soft_wrap=True, markup=False)

    def step(self, step: int) -> None:
        """Show that so many steps are done."""
        self._bar.update(self._task, completed=step)
        now = time.monotonic()
        if self._first is None:
            self._first = step, now
        elif not _can_draw(self._console) and step * self.LINES // self._steps > (step - 1) * self.LINES // self._steps:
            first, start = self._first
            left = (now - start) / (step - first) * (self._steps - step)
            times = f"{format_duration(now - start)} gone, about {format_duration(left)} left"
            self.log(f"{self._what} {step}/{self._steps}  {times}")


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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def log(self, text: str, style: str | None = None) -> None:
        """Write one line, never wrapped: a log file has no width."""
        self.console.print(text, style=style, soft_wrap=True, markup=False)

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
        self.log(f"{_name(trial, candidate)}  {psnr:6.2f} dB before training", "dim")

    @override
    def on_training_start(self, trial: int, candidate: Candidate) -> None:
        self.log(f"{_name(trial, candidate)}  training: {_recipe(candidate)}")

    @override
    def on_rung(self, trial: int, step: int, psnr: float) -> None:
        self.log(f"trial {trial:3}  step {step}/{self.steps}  {psnr:6.2f} dB  {self.time_left()}")

    @override
    def on_trial_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self.left -= 1
        self.best = max(self.best, psnr)
        self.log(f"{_name(trial, candidate)}  {psnr:6.2f} dB after {self.steps} steps  {self.time_left()}", "bold")

    @override
    def on_trial_pruned(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.left -= 1
        self.log(f"{_name(trial, candidate)}  stopped: {reason}", "dim")

    @override
    def on_trial_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.left -= 1
        self.log(f"{_name(trial, candidate)}  FAILED: {reason}", "red")

    @override
    def on_refinement(self, students: int, seconds: float | None) -> None:
        self.refining_ends = None if seconds is None else time.monotonic() + seconds
        limit = "" if seconds is None else f" for {format_duration(seconds)}"
        self.log(f"refining the {students} students of the front{limit}")

    @override
    def on_piece_start(self, trial: int, candidate: Candidate, steps: int, psnr: float) -> None:
        self.log(f"{_name(trial, candidate)}  {psnr:6.2f} dB, trains for {steps} steps more", "dim")

    @override
    def on_piece_end(self, trial: int, candidate: Candidate, before: float, after: float) -> None:
        self.gained += after - before
        change = f"{after - before:+.3f} dB" if after > before else "no better: stays as it was"
        self.log(f"{_name(trial, candidate)}  {after:6.2f} dB  {change}", "bold" if after > before else None)

    def on_repeats(self, trainings: int) -> None:
        self.log(f"... training the front's students again with other seeds, {trainings} trainings", "dim")

    @override
    def on_repeat_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self.log(f"{_name(trial, candidate)}  {psnr:6.2f} dB when trained again with seed {candidate.recipe.seed}")

    @override
    def on_repeat_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.log(f"{_name(trial, candidate)}  FAILED when trained again: {reason}", "red")

    def time_left(self, done: float = 0.0) -> str:
        """Estimate the time left from the pace of this session's trials; `done` is the share of running trials done."""
        now = time.monotonic()
        first, start = self._pace or (self.left, now)
        ended = first - self.left + done
        left = format_duration((now - start) / ended * max(0.0, self.left - done)) if ended > 0 else "?"
        return f"{format_duration(now - self.started)} gone, about {left} left"


@dataclass
class _Running:
    """A trial that is running."""

    text: str
    so_far: str
    steps: int
    step: int = 0


class LiveDisplay(Display):
    """The live display: the same lines, and below them one line for each running trial."""

    def __init__(self, console: Console, trials: int, steps: int) -> None:
        super().__init__(console, trials, steps)
        self._stage = ""
        self._refines = False
        self._running: dict[int, _Running] = {}
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._render)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    @override
    def on_stage(self, what: str) -> None:
        self._stage = what

    @override
    def on_prepared(self, facts: list[str]) -> None:
        super().on_prepared(facts)
        self._stage = "making students and scoring them before training"

    @override
    def on_trial_start(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self._running[trial] = _Running(_name(trial, candidate), f"{psnr:.2f} dB before training", self.steps)

    @override
    def on_training_start(self, trial: int, candidate: Candidate) -> None:
        self._at_work(trial).text = f"{_name(trial, candidate)}  {_recipe(candidate)}"

    @override
    def on_step(self, trial: int, step: int) -> None:
        self._at_work(trial).step = step

    @override
    def on_rung(self, trial: int, step: int, psnr: float) -> None:
        self._at_work(trial).so_far = f"{psnr:.2f} dB so far"

    @override
    def on_refinement(self, students: int, seconds: float | None) -> None:
        super().on_refinement(students, seconds)
        self._refines = True

    @override
    def on_piece_start(self, trial: int, candidate: Candidate, steps: int, psnr: float) -> None:
        self._running[trial] = _Running(_name(trial, candidate), f"{psnr:.2f} dB before", steps)

    @override
    def on_piece_end(self, trial: int, candidate: Candidate, before: float, after: float) -> None:
        self._running.pop(trial, None)
        super().on_piece_end(trial, candidate, before, after)

    @override
    def on_trial_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self._running.pop(trial, None)
        super().on_trial_complete(trial, candidate, psnr)

    @override
    def on_trial_pruned(self, trial: int, candidate: Candidate, reason: str) -> None:
        self._running.pop(trial, None)
        super().on_trial_pruned(trial, candidate, reason)

    @override
    def on_trial_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        self._running.pop(trial, None)
        super().on_trial_fail(trial, candidate, reason)

    @override
    def on_repeat_start(self, trial: int, candidate: Candidate) -> None:
        self._running[trial] = _Running(_name(trial, candidate), "trained again", self.steps)

    @override
    def on_repeat_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self._running.pop(trial, None)
        super().on_repeat_complete(trial, candidate, psnr)

    @override
    def on_repeat_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        self._running.pop(trial, None)
        super().on_repeat_fail(trial, candidate, reason)

    def _at_work(self, trial: int) -> _Running:
        """The running trial of this number; it is added here if it resumed from a rung, without a first score."""
        return self._running.setdefault(trial, _Running(f"trial {trial:3}", "", self.steps))

    def _render(self) -> Group:
        now = sorted(self._running.items())
        lines: list[RenderableType] = []
        if not now and self.left > 0:
            lines.append(Text(self._stage, overflow="ellipsis", no_wrap=True))
        for _, running in now:
            bar = Table.grid(padding=(0, 1))
            bar.add_row(
                ProgressBar(running.steps, running.step, width=30),
                f"step {running.step}/{running.steps}",
                running.so_far,
            )
            lines += [Text(running.text, overflow="ellipsis", no_wrap=True), bar]
        return Group(*lines, Text(self._refined() if self._refines else self._searched(), style="cyan"))

    def _searched(self) -> str:
        shares = sum(running.step / running.steps for running in self._running.values())
        overall = f"trial {self.trials - self.left}/{self.trials}, {self.time_left(shares)}"
        return f"{overall}, best {self.best:.2f} dB" if self.best > 0 else overall

    def _refined(self) -> str:
        overall = f"refining, {self.gained:+.2f} dB in all, {format_duration(time.monotonic() - self.started)} gone"
        if self.refining_ends is None:
            return overall
        return f"{overall}, {format_duration(max(0.0, self.refining_ends - time.monotonic()))} left"


def _name(trial: int, candidate: Candidate) -> str:
    counts = " ".join(f"{k}={v}" for k, v in candidate.values.items() if k not in VARIABLE)
    latency = "" if candidate.latency is None else f" {candidate.latency:7.1f} ms"
    return f"trial {trial:3}  {candidate.space} {counts:24} {format_count(candidate.flops):>7} FLOPs{latency}"


def _recipe(candidate: Candidate) -> str:
    return " ".join(f"{k}={v}" for k, v in candidate.values.items() if k in VARIABLE)
