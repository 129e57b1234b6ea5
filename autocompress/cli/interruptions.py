"""Signals that end a command as Ctrl-C does: TERM, and HUP, which comes when the terminal is closed."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NAMES = ("SIGTERM", "SIGHUP")  # the second is not on Windows
TOGETHER = 5.0  # seconds in which further signals are the same wish: `timeout` and terminals send two


class Interruption:
    """The signal by which the command was asked to end, if it was one of NAMES."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._at = float("-inf")

    @property
    def code(self) -> int:
        """The exit code of a command that was interrupted, by the convention of shells: 128 and the signal's number."""
        return 128 + (signal.SIGINT if self._number is None else self._number)

    @property
    def came(self) -> bool:
        """Whether there was one."""
        return self._number is not None

    def receive(self, number: int, _: FrameType | None) -> None:
        """Handle a signal: raises KeyboardInterrupt, unless it comes with another."""
        now = time.monotonic()
        repeated, self._at = now - self._at < TOGETHER, now
        if not repeated:
            self._number = number
            raise KeyboardInterrupt


@contextmanager
def as_ctrl_c() -> Iterator[Interruption]:
    """A context in which these signals raise KeyboardInterrupt; one that is ignored, as by `nohup`, stays so."""
    interruption = Interruption()
    before = {}
    if threading.current_thread() is threading.main_thread():  # handlers can be set nowhere else
        for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, interruption.receive)
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
