"""Streams that cannot fail a command: what it prints is not what it is for."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from typing_extensions import override


class _Unfailing(io.RawIOBase):
    """Writes to a file descriptor; what cannot be written there, as to a terminal that was closed, is lost."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @override
    def writable(self) -> bool:
        return True

    @override
    def fileno(self) -> int:
        return self._descriptor

    @override
    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    @override
    def write(self, data: Any) -> int:
        try:
            return os.write(self._descriptor, data)
        except OSError:
            return len(data)


@contextmanager
def unfailing() -> Iterator[None]:
    """A context for a command: characters that an encoding lacks are escaped, and progress may go nowhere.

    stdout still fails where it cannot be written, as its reader waits for results; a stream that is closed from the
    beginning is one that nobody wants.
    """
    sys.stdout, sys.stderr = sys.stdout or open_null(), sys.stderr or open_null()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    errors = sys.stderr
    if errors is not sys.__stderr__ or not isinstance(errors, io.TextIOWrapper):  # somebody's own
        yield
        return
    errors.flush()
    raw = io.BufferedWriter(_Unfailing(errors.fileno()))
    sys.stderr = io.TextIOWrapper(raw, errors.encoding, "backslashreplace", line_buffering=True, write_through=True)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = errors


def is_broken(stream: TextIO) -> bool:
    """Whether nothing can be written to a stream; where something can, it gets a newline."""
    try:
        stream.write("\n")
        stream.flush()
    except OSError:
        return True
    return False


def open_null() -> TextIO:
    """A stream that leads nowhere."""
    return Path(os.devnull).open("w")
