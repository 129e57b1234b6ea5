"""A storage whose operations no signal breaks off: Ctrl-C and its like wait until one is done.

Python raises KeyboardInterrupt between any two steps. Within a transaction it may leave SQLite's lock behind, or be
lost, where it comes in a weak reference's callback, whose exceptions are ignored.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from optuna.storages import BaseStorage, RDBStorage

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # the last is not on Windows

Given = ParamSpec("Given")
Returned = TypeVar("Returned")


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A context at whose end signals are handled that came in it, by the handlers of before; each kind once."""
    came, before = dict[int, None](), dict[int, Any]()

    def hold(number: int, _: FrameType | None) -> None:
        came[number] = None

    if threading.current_thread() is threading.main_thread():  # handlers are set, and run, nowhere else
        for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
            if callable(signal.getsignal(number)):
                before[number] = signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


def _uninterrupted(method: Callable[Given, Returned]) -> Callable[Given, Returned]:
    @wraps(method)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        with uninterrupted():
            return method(*args, **kwargs)

    return run


class UninterruptedStorage(RDBStorage):
    """Optuna's storage, each of whose operations is uninterrupted."""


for _name in BaseStorage.__dict__:
    if not _name.startswith("_"):
        setattr(UninterruptedStorage, _name, _uninterrupted(getattr(RDBStorage, _name)))
