"""What is written down while a run goes on: where the time of its sessions went, and what happens in each trial."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autocompress.io import atomic


@dataclass(frozen=True, kw_only=True)
class SessionTimes:
    """Where the time of a session went, in seconds by phase; `started` is its begin, in seconds since 1970.

    `refining` is how long it refined the front, a part of the `total` beside the phases.
    """

    session: str | None = None
    started: float
    total: float
    before_training: float | None
    parts: Mapping[str, float]
    refining: float = 0.0


@dataclass(frozen=True)
class TrialLog:
    """The log of one trial: a line of text, with the time (UTC), for each event."""

    path: Path

    def write(self, text: str) -> None:
        """Append a line; it is flushed to the operating system at once."""
        with atomic.room_for(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._append(text)

    def _append(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}  {text}\n")
