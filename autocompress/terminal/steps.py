"""Work that consists of steps, on stderr: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from autocompress.names import printable
from autocompress.units import format_duration, wrapped

Item = TypeVar("Item")
LINE_EVERY = 10  # seconds


def step_display(steps: int, what: str = "step", quiet: bool = False) -> StepDisplay:
    """A display for a single training, or for other work that consists of so many `what`."""
    return StepDisplay(new_console(quiet), steps, what)


def counted(items: Iterable[Item], total: int, what: str, quiet: bool = False) -> Counted[Item]:
    """Iterate over the items and show how many are done: a bar on a terminal, else a line at most every ten seconds."""
    return Counted(new_console(quiet), items, total, what)


class Counted(Generic[Item]):
    """What `counted` returns; `part` shows how far the item is that is worked on, where one takes long."""

    def __init__(self, console: Console, items: Iterable[Item], total: int, what: str) -> None:
        self._console, self._items, self._total, self._what = console, items, total, what
        self._bar = new_bars(console, TextColumn("{task.description}"))
        self._task = self._bar.add_task(what, total=total)
        self._done = 0
        self._told = 0.0

    def __iter__(self) -> Iterator[Item]:
        self._told = time.monotonic()
        with self._bar:
            for item in self._items:
                yield item
                self._done += 1
                self._show(0.0)

    def part(self, done: int, total: int) -> None:
        """Show that so much of the item is done, of so much."""
        if done < total:  # else what is left of it follows, and then the next one
            self._show(done / total)

    def _show(self, share: float) -> None:
        self._bar.update(self._task, completed=self._done + share)
        if not can_draw(self._console) and time.monotonic() - self._told > LINE_EVERY:
            self._told = time.monotonic()
            further = f", {share:.0%} of the next" if share else ""
            write_line(self._console, f"{self._what}: {self._done}/{self._total}{further}")


def new_console(quiet: bool = False) -> Console:
    """A console that writes to stderr, in a notebook too.

    Notebooks and CI set FORCE_COLOR, which rich takes for a terminal; but where lines cannot be redrawn, each time that
    one is drawn would be one more output.
    """
    terminal = None if sys.stderr.isatty() else False
    return Console(stderr=True, highlight=False, quiet=quiet, force_jupyter=False, force_terminal=terminal)


def can_draw(console: Console) -> bool:
    """Whether lines can be redrawn."""
    return console.is_terminal and not console.is_dumb_terminal and not console.quiet


def new_bars(console: Console, *first: ProgressColumn) -> Bars:
    """Bars that are drawn where lines can be redrawn, and that vanish at their end."""
    columns = (*first, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Bars(*columns, console=console, transient=True, disable=not can_draw(console))


def write_line(console: Console, text: str, style: str | None = None) -> None:
    """Write one line: in a log file, which has no width, as it is, and on a terminal broken between words."""
    text = printable(text)
    if can_draw(console):
        text = wrapped(text, console.width)
    console.print(text, style=style, soft_wrap=True, markup=False)


class StepDisplay:
    """Lines for a training of so many steps, or similar work; on a terminal with a bar below them."""

    LINES = 20  # for a whole training, where lines cannot be redrawn

    def __init__(self, console: Console, steps: int, what: str = "step") -> None:
        self._steps, self._console, self._what = steps, console, what
        self._first: tuple[int, float] | None = None
        self._bar = new_bars(console)
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
        write_line(self._console, text)

    def step(self, step: int) -> None:
        """Show that so many steps are done."""
        self._bar.update(self._task, completed=step)
        now = time.monotonic()
        if self._first is None:
            self._first = step, now
        elif not can_draw(self._console) and step * self.LINES // self._steps > (step - 1) * self.LINES // self._steps:
            first, start = self._first
            left = (now - start) / (step - first) * (self._steps - step)
            times = f"{format_duration(now - start)} gone, about {format_duration(left)} left"
            self.log(f"{self._what} {step}/{self._steps}  {times}")
