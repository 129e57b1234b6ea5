"""Who works on a run: each process that asks for trials is a session, alive as long as it holds a lock."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from autocompress.errors import RunError
from autocompress.search.run.storage import StudyStorage

ASKING = ".asking.lock"
SUFFIX = ".lock"
PATIENCE = 600  # seconds for another session to ask its sampler
BLINK = 0.02  # seconds; another process that looks whether a session lives holds its lock for less


class Session:
    """One process's part in a run: an id, and where the study is."""

    def __init__(self, folder: Path, place: StudyStorage) -> None:
        self.id = secrets.token_hex(6)
        self.place = place
        self._folder = folder

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Alive in this context; a process that dies in it holds no lock any more."""
        path = lock_of(self._folder, self.id)
        path.parent.mkdir(exist_ok=True)
        lock = FileLock(path)
        with self.asking():  # so that nobody takes it for one of the dead before it is held
            lock.acquire()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            lock.release()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """For one session of the run at a time: to ask for trials, and to close those of the dead."""
        lock = FileLock(self._folder / ASKING, timeout=PATIENCE)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"{self._folder / ASKING}: another process has held this lock for {PATIENCE} seconds; end it"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def alone(self) -> bool:
        """Whether no other session is or was here, but for those known to be dead."""
        return all(path.stem == self.id for path in locks(self._folder))

    def alive(self, other: str | None) -> bool:
        """Whether a session still works; one that forgot itself before it could sign (None) does not."""
        return other is not None and (other == self.id or is_held(lock_of(self._folder, other)))

    def bury(self) -> None:
        """Remove the locks of the dead; to be called while asking."""
        for path in locks(self._folder):
            if not self.alive(path.stem):
                path.unlink(missing_ok=True)


def lock_of(folder: Path, session: str) -> Path:
    """The file that a session of a run holds."""
    return folder / "sessions" / f"{session}{SUFFIX}"


def locks(folder: Path) -> list[Path]:
    """Those of all sessions of a run, dead or alive."""
    return sorted((folder / "sessions").glob(f"*{SUFFIX}"))


def is_held(path: Path) -> bool:
    """Whether a process holds this lock, and not just for a blink to see the same."""
    for pause in (BLINK, 0.0):
        if not path.is_file():
            return False
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            time.sleep(pause)
        else:
            lock.release()
            return False
    return True
