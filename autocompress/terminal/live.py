"""A running search on a terminal: its lines, below them a bar for each trial at work, and one for the whole search."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text
from typing_extensions import override

from autocompress.search.space.search_space import Candidate
from autocompress.terminal.lines import Display, name_of, recipe_of
from autocompress.terminal.steps import can_draw, new_console
from autocompress.units import decibels, format_duration, signed_decibels

SHORTEST, LONGEST = 4, 30  # characters of a bar


def make_display(trials: int, steps: int, quiet: bool = False) -> Display:
    """A live display on a terminal that can redraw lines, else a plain one; with `quiet` it shows nothing."""
    console = new_console(quiet)
    return LiveDisplay(console, trials, steps) if can_draw(console) else Display(console, trials, steps)


@dataclass
class _Running:
    """A trial that is running."""

    text: str
    so_far: str
    steps: int
    step: int = 0
    part: _Part | None = None  # what is done for it now, if that is no training

    def now(self) -> tuple[float, str]:
        """The share that is done of what is done now, and that in words."""
        if self.part is not None:
            return self.part.share, self.part.words()
        return self.step / self.steps, f"step {self.step}/{self.steps} {self.so_far}"


@dataclass(frozen=True)
class _Part:
    """A part of the work on a trial, of which this share is done, and when it began."""

    what: str
    share: float
    began: float

    def words(self) -> str:
        how_far = f"{self.share:.0%}" if self.share else f"{format_duration(time.monotonic() - self.began)} gone"
        return f"{self.what}, {how_far}"


class LiveDisplay(Display):
    """The live display: the same lines, below them a bar for each running trial, and one for the whole search."""

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
    def on_trial_start(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self._running[trial] = _Running(name_of(trial, candidate), f"{decibels(psnr)} dB before training", self.steps)

    @override
    def on_part(self, trial: int, candidate: Candidate, part: str, share: float) -> None:
        running = self._running.setdefault(trial, _Running(name_of(trial, candidate), "", self.steps))
        before = running.part
        began = time.monotonic() if before is None or before.what != part else before.began
        running.part = _Part(part, share, began)

    @override
    def on_training_start(self, trial: int, candidate: Candidate) -> None:
        self._at_work(trial).text = f"{name_of(trial, candidate)}  {recipe_of(candidate)}"

    @override
    def on_step(self, trial: int, step: int) -> None:
        running = self._at_work(trial)
        running.step, running.part = step, None

    @override
    def on_rung(self, trial: int, step: int, psnr: float) -> None:
        self._at_work(trial).so_far = f"{decibels(psnr)} dB so far"

    @override
    def on_refinement(self, students: int, seconds: float | None) -> None:
        super().on_refinement(students, seconds)
        self._refines = True

    @override
    def on_piece_start(self, trial: int, candidate: Candidate, steps: int, psnr: float) -> None:
        self._running[trial] = _Running(name_of(trial, candidate), f"{decibels(psnr)} dB before", steps)

    @override
    def on_piece_end(self, trial: int, candidate: Candidate, before: float, after: float) -> None:
        self._running.pop(trial, None)
        super().on_piece_end(trial, candidate, before, after)

    @override
    def on_trial_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self._running.pop(trial, None)
        super().on_trial_complete(trial, candidate, psnr)

    @override
    def _when(self) -> str:
        return ""  # the bars tell both

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
        self._running[trial] = _Running(name_of(trial, candidate), "trained again", self.steps)

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
            bar = self._bar(1.0, *running.now())
            lines += [Text(running.text, overflow="ellipsis", no_wrap=True), bar]
        return Group(*lines, self._refined() if self._refines else self._searched())

    def _searched(self) -> RenderableType:
        """How far the whole search is: a bar over its trials, and the time left."""
        shares = sum(running.step / running.steps for running in self._running.values())
        overall = f"trial {self.trials - self.left}/{self.trials}, {self.time_left(shares)}"
        if self.best > 0:
            overall += f", best {decibels(self.best)} dB"
        return self._bar(self.trials, self.trials - self.left + shares, overall, "cyan")

    def _refined(self) -> RenderableType:
        overall = f"refining, {signed_decibels(self.gained)} dB in all"
        overall += f", {format_duration(time.monotonic() - self.started)} gone"
        if self.refining_ends is not None:
            overall += f", {format_duration(max(0.0, self.refining_ends - time.monotonic()))} left"
        return Text(overall, style="cyan", overflow="ellipsis", no_wrap=True)

    def _bar(self, total: float, done: float, words: str, style: str = "") -> RenderableType:
        """A bar with words behind it, in one line: it is short where the terminal is narrow."""
        width = max(SHORTEST, min(LONGEST, self.console.width - len(words) - 1))
        line = Table.grid(Column(width=width), Column(overflow="ellipsis", no_wrap=True), padding=(0, 1))
        line.add_row(ProgressBar(total, done), Text(words, style=style))
        return line
