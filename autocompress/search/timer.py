"""The timer that says where the time of a search goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class PhaseTimer:
    """Adds the time of a session to one part at any moment, so that the parts add up to the whole."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.time()
        self._start = self._since = time.perf_counter()
        self._part = "other"
        self.before_training: float | None = None  # seconds until the first training step

    @contextmanager
    def during(self, part: str) -> Iterator[None]:
        """A context whose time goes into `part`, except that of contexts within it."""
        around = self._switch(part)
        try:
            yield
        finally:
            self._switch(around)

    def _switch(self, part: str) -> str:
        now, before = time.perf_counter(), self._part
        self.seconds[before] = self.seconds.get(before, 0.0) + now - self._since
        self._since, self._part = now, part
        if part == "training" and self.before_training is None:
            self.before_training = now - self._start
        return before

    def to_dict(self) -> dict[str, Any]:
        """The parts up to now, in seconds; `started` is in seconds since 1970."""
        self._switch(self._part)
        return {
            "started": round(self._started, 3),
            "total": round(self._since - self._start, 3),
            "before_training": None if self.before_training is None else round(self.before_training, 3),
            "parts": {part: round(seconds, 3) for part, seconds in self.seconds.items()},
        }
