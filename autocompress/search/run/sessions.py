"""Which processes work on a run: each is a session, and holds a lock file until it ends, however it ends."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from autocompress.errors import RunError

if TYPE_CHECKING:
    from autocompress.search.run.storage import StudyStorage

ASKING = ".asking.lock"
REFINING = ".refining.lock"
SUFFIX = ".lock"
ASK_TIMEOUT = 600  # seconds to wait for another session that holds the lock for asking
PROBE_PAUSE = 0.02  # seconds; `is_held` in another process holds a lock for less


class Session:
    """One process that works on a run: its id, and the run's folder and study."""

    def __init__(self, folder: Path, place: StudyStorage) -> None:
        self.id = secrets.token_hex(6)
        self.place = place
        self._folder = folder

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Hold the session's lock in this context. The operating system releases it where the process is killed."""
        path = lock_of(self._folder, self.id)
        path.parent.mkdir(exist_ok=True)
        lock = FileLock(path)
        with self.asking():  # in which others look for sessions that have ended: this file is not held yet
            lock.acquire()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            lock.release()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Hold the lock for asking: one session of the run at a time asks for trials, and recovers those of ended ones.

        RunError where another one has held it for ASK_TIMEOUT seconds.
        """
        lock = FileLock(self._folder / ASKING, timeout=ASK_TIMEOUT)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"{self._folder / ASKING}: another process has held this lock for {ASK_TIMEOUT} seconds; end it"
            ) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def refining(self) -> Iterator[None]:
        """Hold the lock of the one session that may change a run's students; no other session works meanwhile.

        RunError where another one does. A session that enters later finds the lock, see `check_unrefined`.
        """
        lock = FileLock(self._folder / REFINING)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise self._refined() from None
        try:
            with self.asking():
                self.remove_stale_locks()
                others = [path for path in locks(self._folder) if path.stem != self.id]
            if others:
                raise RunError(
                    f"{self._folder}: {len(others)} session{'s' * (len(others) > 1)} of its search are at work; "
                    "wait until the search has ended, then refine its front"
                )
            yield
        finally:
            lock.release()

    def check_unrefined(self) -> None:
        """RunError where another session refines the run's front; to be called by one that has been entered."""
        if is_held(self._folder / REFINING):
            raise self._refined()

    def _refined(self) -> RunError:
        return RunError(f"{self._folder}: another process refines its front; wait for it, or end it")

    def alone(self) -> bool:
        """Whether no other session has a lock file here; those of sessions that have ended may be there for a while."""
        return all(path.stem == self.id for path in locks(self._folder))

    def alive(self, other: str | None) -> bool:
        """Whether a session still works. None does not: its process was killed before it stored its id in a trial.

        Nor does what is no session's id, as a study may have it, such as a path that leads out of the run.
        """
        return other is not None and other.isalnum() and (other == self.id or is_held(lock_of(self._folder, other)))

    def remove_stale_locks(self) -> None:
        """Remove the lock files of sessions that have ended; to be called while asking."""
        for path in locks(self._folder):
            if not self.alive(path.stem):
                path.unlink(missing_ok=True)


def lock_of(folder: Path, session: str) -> Path:
    """The lock file of a session of a run."""
    return folder / "sessions" / f"{session}{SUFFIX}"


def locks(folder: Path) -> list[Path]:
    """The lock files of all sessions of a run, of ended ones too."""
    return sorted((folder / "sessions").glob(f"*{SUFFIX}"))


def is_held(path: Path) -> bool:
    """Whether a session holds this lock.

    Looked at twice: to find that out, another process may hold it for a moment. Nobody's lock is a link.
    """
    for pause in (PROBE_PAUSE, 0.0):
        if path.is_symlink() or not path.is_file():
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
