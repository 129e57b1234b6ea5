"""The log of one trial: a line of text for each thing that happened to it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from autocompress.io.checkpoints import room_for


@dataclass(frozen=True)
class TrialLog:
    """Lines in a file, each with the time (UTC) and what happened."""

    path: Path

    def write(self, what: str) -> None:
        """One more line, at once on the disk's side of this process."""
        with room_for(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._append(what)

    def _append(self, what: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}  {what}\n")
