"""Processes that end with the one that started them, however that ends, from their first moments on.

Nothing heavy is imported here: to import PyTorch takes seconds, in which the search may be killed.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler

PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>: the signal that this process gets when the thread that started it ends


def start_worker(work: Callable[..., None], *arguments: object) -> SpawnProcess:
    """Run `work(*arguments)` in a new process, which is killed when this process ends.

    The thread that calls this must live as long as the process. Both are pickled, and unpickled there only once it is
    certain that the process does not outlive this one.
    """
    context = multiprocessing.get_context("spawn")  # a forked process cannot use CUDA, nor torch's threads
    process = context.Process(target=_work, args=(_Pickled((work, arguments)),), daemon=True)
    process.start()
    return process


class _Pickled:
    """An object that is not unpickled together with what it is in, but when it is asked for."""

    def __init__(self, content: object) -> None:
        self._content = content

    def __getstate__(self) -> bytes:
        return bytes(ForkingPickler.dumps(self._content))  # here, as connections can be sent only to a process at start

    def __setstate__(self, state: bytes) -> None:
        self._content = state

    def load(self) -> tuple[Callable[..., None], tuple[object, ...]]:
        """What it was made of; only where it was sent to."""
        assert isinstance(self._content, bytes)
        work, arguments = ForkingPickler.loads(self._content)
        return work, arguments


def _work(sent: _Pickled) -> None:
    """What the new process does."""
    for interruption in (signal.SIGINT, signal.SIGHUP) if hasattr(signal, "SIGHUP") else (signal.SIGINT,):
        signal.signal(interruption, signal.SIG_IGN)  # they are for the search, which ends its workers
    threading.Thread(target=_end_with_the_search, daemon=True).start()
    if sys.platform == "linux":  # also while a library is loaded, during which no other thread runs
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    work, arguments = sent.load()
    work(*arguments)


def _end_with_the_search() -> None:
    """Kill this worker when the search's process ends: else it would write a student that another session retries."""
    search = multiprocessing.parent_process()
    if search is not None:
        search.join()
        os._exit(1)
