"""The user's cache folder: what is expensive to compute and the same for every run, kept between runs.

An entry is a folder `<cache>/<kind>/<key>`, where the key is a hash of all that its content depends on, so an
entry never changes. It is built once, by one process, while the others wait; it appears whole or not at all: before,
its files are synced and their checksums written. A process that opens it compares them, and builds it anew if it is
damaged. Entries that a living process uses are never removed; of the others, the least recently used go first when
the limit is reached.

Where all that lies on the disk, and what there is ours, is told by `cache_folder`.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from autocompress.errors import InvalidInput
from autocompress.io.atomic import NO_ROOM, sync_folder, write_text
from autocompress.io.cache_folder import (
    FOLDER_VARIABLE,
    PARTS,
    bytes_in,
    check_folders,
    delete,
    folder,
    free_bytes,
    is_folder_of_ours,
    lock_name,
    locked,
    named_in,
    recorded,
)
from autocompress.io.checksums import is_whole, record
from autocompress.names import printable
from autocompress.units import format_count, parse_count

__all__ = ["FOLDER_VARIABLE", "LIMIT_VARIABLE", "CacheEntry", "clear", "entries", "entry", "folder", "limit"]

LIMIT_VARIABLE = "AUTOCOMPRESS_CACHE_LIMIT"
DEFAULT_LIMIT = "20G"
ABOUT = "about.txt"  # in an entry, for people: what it was made of
LONGEST_ABOUT = 200  # characters that are shown

_in_use: dict[Path, FileLock] = {}  # the entries that this process has opened


@dataclass(frozen=True)
class CacheEntry:
    """One folder of the cache; `last_used` in seconds since 1970; `about` is for people, "" where nothing is known."""

    kind: str
    key: str
    bytes: int
    last_used: float
    about: str = ""

    @property
    def path(self) -> Path:
        """The entry's folder."""
        return folder() / self.kind / self.key


def limit() -> int:
    """How many bytes the cache may have, by $AUTOCOMPRESS_CACHE_LIMIT (such as 20G); raises InvalidInput."""
    try:
        return parse_count(os.environ.get(LIMIT_VARIABLE) or DEFAULT_LIMIT)
    except InvalidInput as error:
        raise InvalidInput(f"{LIMIT_VARIABLE}: {error}") from error


def entry(
    kind: str, key: str, build: Callable[[Path], None], *, about: str = "", size: int = 0, resumable: bool = False
) -> Path:
    """The folder of the entry (kind, key); if it does not exist yet, `build` is called with an empty folder to fill.

    `about` says for people what it is made of. With `resumable`, that folder may have what an earlier call left that
    was interrupted, if nobody has removed it. `size` is the number of bytes it will have, if known: room is made for it
    before it is built. From now on the entry counts as in use until this process ends. Raises InvalidInput if the cache
    folder cannot be written, or has no room within its limit or on the disk; what `build` raises is passed on.
    """
    path = folder() / kind / key
    limit()
    check_folders(*PARTS, kind)
    with locked(path):
        if path not in _in_use and not is_whole(path, recorded(path)):
            _discard(path)  # nothing, or what a power cut, a full disk or a person has left of it
        if not is_folder_of_ours(path):
            _build(path, build, about, size, resumable)
        os.utime(path)
        _mark_as_in_use(path)
    return path


def entries() -> list[CacheEntry]:
    """All entries, the least recently used first."""
    existing = []
    # Only folders with a lock file are entries: the user may have chosen a folder that holds other things as well.
    for path in named_in(".locks"):
        if not is_folder_of_ours(path):
            continue
        with suppress(OSError):  # removed just now
            existing.append(CacheEntry(path.parent.name, path.name, bytes_in(path), path.stat().st_mtime, _about(path)))
    return sorted(existing, key=lambda item: item.last_used)


def clear() -> list[CacheEntry]:
    """Remove every entry that no living process uses; returns those that stay."""
    if folder().is_dir():
        _remove_leftovers()
    return [item for item in entries() if not _remove(item.path)]


def _about(path: Path) -> str:
    """What an entry was made of, as it says itself."""
    try:
        if not (path / ABOUT).is_file():  # a pipe would be waited for
            return ""
        return printable((path / ABOUT).read_text(encoding="utf-8")[:LONGEST_ABOUT])
    except (OSError, UnicodeDecodeError):
        return ""


def _build(path: Path, build: Callable[[Path], None], about: str, size: int, resumable: bool) -> None:
    """Build an entry whose lock is held; first remove what killed processes have left unfinished."""
    unfinished = folder() / ".building" / lock_name(path)
    _remove_leftovers()
    if not resumable or not is_folder_of_ours(unfinished):
        delete(unfinished)
    begun = bytes_in(unfinished)
    _make_room(path, size, max(0, size - begun))
    unfinished.mkdir(parents=True, exist_ok=True)
    keep = resumable
    try:
        build(unfinished)
        if about:
            write_text(unfinished / ABOUT, about)
        _make_room(path, bytes_in(unfinished), 0)
        path.parent.mkdir(exist_ok=True)
        record(unfinished, recorded(path))
        delete(path)  # a link or a file in its place
        unfinished.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        if error.errno not in NO_ROOM and error.filename is not None:  # of another file, which is named
            raise
        keep = False
        raise InvalidInput(f"{path}: {_unwritable(error)}") from error
    finally:
        if not keep:
            delete(unfinished)


def _unwritable(error: OSError) -> str:
    """Why an entry cannot be written, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full; free some space, or set {FOLDER_VARIABLE} to a folder on a larger one"
    if error.errno is None:  # NumPy's, of an array of which the system took a part
        return (
            f"the disk is full, or the size of files is limited ({error}); free some space, raise the limit "
            f"(ulimit -f), or set {FOLDER_VARIABLE} to a folder on a larger disk"
        )
    remedy = f"set {FOLDER_VARIABLE} to another folder"
    if error.errno == errno.EFBIG:
        remedy = "raise the limit of a file's size (ulimit -f)"
    return f"cannot be written ({error.strerror or error}); {remedy}"


def _discard(path: Path) -> None:
    """Remove an entry that is not whole, wherever it is damaged; its lock must be held."""
    delete(recorded(path))
    delete(path)
    if is_folder_of_ours(path):
        raise InvalidInput(f"{path}: damaged, and cannot be removed; remove it by hand")


def _make_room(path: Path, more: int, more_on_disk: int) -> None:
    """Remove the least recently used entries until `more` bytes fit into the limit and on the disk."""
    known = entries()
    used = sum(item.bytes for item in known)
    for item in known:
        if used + more <= limit() and more_on_disk <= free_bytes():
            return
        if _remove(item.path):
            used -= item.bytes
    if used + more > limit():
        raise InvalidInput(
            f"{path}: {_readable(more)} do not fit into the cache beside {_readable(used)} in use; "
            f"its limit is {_readable(limit())}: "
            f"set {LIMIT_VARIABLE} to at least {ceil((used + more) / 10**6)}M"
        )
    if more_on_disk > free_bytes():
        raise InvalidInput(
            f"{path}: {_readable(more_on_disk)} do not fit on the disk, which has {_readable(free_bytes())} free; "
            f"free some space, or set {FOLDER_VARIABLE} to a folder on a larger disk"
        )


def _remove(path: Path) -> bool:
    """Remove an entry unless a living process builds, opens or uses it; says whether it is gone."""
    try:
        with locked(path, wait=False):
            if _is_in_use(path):
                return False
            # Renamed first, so that it disappears in one step; if a kill interrupts the deletion, the rest lies among
            # the unfinished entries and is removed with them.
            doomed = folder() / ".building" / lock_name(path)
            doomed.parent.mkdir(exist_ok=True)
            if not is_folder_of_ours(doomed.parent):
                return False
            delete(doomed)
            delete(recorded(path))
            path.rename(doomed)
            delete(doomed)
            return True
    except Timeout:
        return False
    except OSError:  # Windows doesn't rename a folder with open files; or another process was faster
        return not path.exists()


def _remove_leftovers() -> None:
    """Remove unfinished entries whose lock is free: the process that built them was killed."""
    for path in named_in(".building"):
        try:
            with locked(path, wait=False):
                delete(folder() / ".building" / lock_name(path))
        except Timeout:
            continue


def _mark_as_in_use(path: Path) -> None:
    if path not in _in_use:
        users = folder() / ".users" / lock_name(path)
        if not is_folder_of_ours(users):
            delete(users)
        users.mkdir(parents=True, exist_ok=True)
        lock = FileLock(users / uuid4().hex)
        lock.acquire()
        _in_use[path] = lock


def _is_in_use(path: Path) -> bool:
    """Whether a living process uses the entry; removes the files of dead ones. The entry's lock must be held."""
    users = folder() / ".users" / lock_name(path)
    for user in users.glob("*") if is_folder_of_ours(users) else ():
        if user.is_symlink() or not user.is_file():  # not ours
            continue
        try:
            with FileLock(user, blocking=False):
                pass
        except Timeout:
            return True
        user.unlink(missing_ok=True)
    return False


def _readable(size: int) -> str:
    return f"{format_count(size)}B"
