"""The cache folder as it is on the disk: where the parts of an entry lie, their locks, and what of it is ours.

Beside the entries it has `.building` (unfinished entries), `.checksums`, `.locks` (held while an entry is built, opened
or removed) and `.users` (one file for each process and entry, locked while the process lives). The locks are the
operating system's: they are released when a process ends, however it ends.

What is found there is not trusted: names that we do not give and links are no entries, and nothing outside is removed.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_dir

from autocompress.errors import InvalidInput

FOLDER_VARIABLE = "AUTOCOMPRESS_CACHE"
PARTS = (".building", ".checksums", ".locks", ".users")
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")  # of a kind, and of a key


def folder() -> Path:
    """The cache folder: $AUTOCOMPRESS_CACHE, or the platform's place for a user's caches."""
    return Path(os.environ.get(FOLDER_VARIABLE) or user_cache_dir("autocompress")).absolute()


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an entry's lock; without `wait`, raises Timeout if another process holds it."""
    locks = folder() / ".locks"
    file = locks / lock_name(path)
    try:
        locks.mkdir(parents=True, exist_ok=True)
        if file.is_symlink() or (file.exists() and not file.is_file()):  # some versions of FileLock would follow a link
            what = "a link" if file.is_symlink() else "no file"
            raise InvalidInput(f"{file}: {what}, where the cache needs one of its own; remove it")
        lock = FileLock(file, blocking=wait)
        lock.acquire()
    except Timeout:
        raise
    except OSError as error:
        raise InvalidInput(
            f"{folder()}: the cache folder cannot be written ({error.strerror}); "
            f"set {FOLDER_VARIABLE} to a folder that can"
        ) from error
    try:
        yield
    finally:
        lock.release()


def recorded(path: Path) -> Path:
    """The file with the sizes and checksums of an entry's files."""
    return folder() / ".checksums" / f"{lock_name(path)}.json"


def lock_name(path: Path) -> str:
    """What the files and folders that belong to an entry are called."""
    return f"{path.parent.name}+{path.name}"


def named_in(part: str) -> Iterator[Path]:
    """The paths of the entries that the names in `.locks` or `.building` stand for; other names are not ours."""
    if not is_folder_of_ours(folder() / part):
        return
    for file in (folder() / part).iterdir():
        if file.is_symlink() or (part == ".locks" and not file.is_file()):
            continue
        match file.name.split("+"):
            case kind, key if NAME.fullmatch(kind) and NAME.fullmatch(key):
                yield folder() / kind / key


def check_folders(*names: str) -> None:
    """Raise InvalidInput for a link or a file where the cache has a folder: it may be somebody's, and leads outside."""
    for path in (folder() / name for name in names):
        if (path.is_symlink() or path.exists()) and not is_folder_of_ours(path):
            what = "a link" if path.is_symlink() else "no folder"
            raise InvalidInput(
                f"{path}: {what}, where the cache needs a folder of its own; remove it, or set {FOLDER_VARIABLE} to "
                "another folder"
            )


def is_folder_of_ours(path: Path) -> bool:
    """Whether there is a folder, and no link on the way to it from the cache folder."""
    return path.is_dir() and path.resolve() == folder().resolve() / path.relative_to(folder())


def delete(path: Path) -> None:
    """Remove what is there, as far as that can be done: a link itself, never what it leads to."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        if is_folder_of_ours(path.parent):
            with suppress(OSError):
                path.unlink()
    elif is_folder_of_ours(path):
        shutil.rmtree(path, ignore_errors=True)


def bytes_in(path: Path) -> int:
    """The size of all files in a folder."""
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())


def free_bytes() -> int:
    """What the disk has left."""
    return shutil.disk_usage(folder()).free
