"""Writing files so that they are complete or absent, also after a power cut; this module does not import torch."""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from autocompress.errors import DiskFull, RunError, cut

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MOST_DIGITS = 40  # of a whole number in JSON
LARGEST_JSON = 2**25  # bytes of a file of ours that are read: scores of some hundred thousand images
LONGEST_STEM = 50  # characters, of up to 4 bytes, of a file's name in its temporary one; file systems take 255 bytes


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a temporary path, sync that file and rename it to `path`.

    So `path` is complete or unchanged, also after a power cut. The temporary file is a new one with a random name, so
    that nobody can lay a link in its place; its rights are those that the user's umask leaves. Raises DiskFull if the
    disk has no room, another OSError if the folder cannot be written, and where the path is that of a folder.
    """
    if not path.name or path.is_dir():  # found out now, not after the work of writing it
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = path.with_name(f".{path.name[:LONGEST_STEM]}.{secrets.token_hex(8)}.tmp")
    made_file = False
    try:
        with room_for(path):
            made = [folder for folder in path.parents if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = _create(temporary)  # raises OSError where nothing can be written; some writers raise something else
            made_file = True
            write(temporary)
            sync(temporary)
            temporary.chmod(mode)  # some writers make files that only their owner can read
            temporary.replace(path)
            for folder in (path.parent, *(new.parent for new in made)):
                sync_folder(folder)
    finally:
        if made_file:
            temporary.unlink(missing_ok=True)


def _create(path: Path) -> int:
    """Make a new file, which nothing may have the name of, and return its rights."""
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return os.fstat(file).st_mode & 0o777
    finally:
        os.close(file)


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """A context for writing a file: errors for want of room become DiskFull, with a message of one line."""
    try:
        yield
    except DiskFull:
        raise
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        remedy = "raise the limit of a file's size (ulimit -f)" if error.errno == errno.EFBIG else "make room"
        full = DiskFull(f"{path}: cannot be written ({error.strerror}); {remedy}, and the same command goes on")
        full.errno, full.strerror = error.errno, error.strerror
        raise full from error


def sync(path: Path) -> None:
    """Wait until what was written to a file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Make new names in a folder survive a power cut; does nothing on Windows and some network disks, which cannot."""
    with suppress(OSError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_text(path: Path, text: str) -> None:
    """Write a text file as `encode` makes it, complete or not at all."""
    write_bytes(path, encode(text))


def encode(text: str) -> bytes:
    """A text as UTF-8; bytes of names that are no UTF-8 become escapes."""
    return text.encode(errors="backslashreplace")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, complete or not at all."""
    write_atomically(path, lambda temporary: _write(temporary, content))


def read_json(path: Path, remedy: str = "remove it or restore it") -> dict[str, Any]:
    """What a JSON file holds, where that is an object, else nothing; RunError where it cannot be read as JSON.

    `remedy` is what helps then.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
            raise OSError(errno.EINVAL, "no regular file")
        with path.open("rb") as file:
            text = file.read(LARGEST_JSON + 1)
        if len(text) > LARGEST_JSON:
            raise ValueError(f"more than {LARGEST_JSON} bytes")
        content = json.loads(text.decode(), parse_constant=_refused, parse_int=_whole, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: not readable as JSON ({cut(str(error))}); {remedy}") from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    return content if isinstance(content, dict) else {}


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _whole(digits: str) -> int:
    """What a float can hold, too: sums and shares are made of numbers."""
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{cut(digits)} is no finite number")
    return number


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, complete or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
