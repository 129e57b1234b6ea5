"""Whether what a user names can be written, found out before any work is done; this module does not import torch."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from autocompress.errors import InvalidInput, cut
from autocompress.io.overwriting import check_companions, check_not_read

LONGEST = 255  # bytes of a name, where the system does not say


def check_file(path: Path, option: str, shorter: str = "") -> None:
    """Raise InvalidInput unless a file can be written at `path`, which `option` names; nothing is left there.

    It may be there already, and its folders need not be: they are made when it is written. `shorter` is what helps
    where the name is too long; by default a shorter one with `option`.
    """
    try:
        if _is_there(path) and not path.is_file():
            if path.is_dir():
                _fail(errno.EISDIR)
            raise OSError(errno.EINVAL, "no regular file")  # a pipe or a device would be replaced
        if not path.name:
            _fail(errno.EISDIR)
        _try(path.parent)
    except OSError as error:
        raise _refused(path, error, f"another file with {option}", shorter or f"a shorter name with {option}") from None


def check_weights_file(out: Path, read: Iterable[object] = ()) -> None:
    """Raise InvalidInput unless `out` ends in .safetensors and can be written, which --out names.

    Neither it nor a file of its name may be lost by that: none that is `read`, and none of another origin.
    """
    if out.suffix != ".safetensors":
        name = f"{out.stem or 'student'}.safetensors"
        raise InvalidInput(f"{out}: a network is written as safetensors; give a name such as {name}")
    check_file(out, "--out")
    check_not_read(out, read)
    check_companions(out)


def check_folder(path: Path, option: str) -> None:
    """Raise InvalidInput unless files can be written into a folder `path`, which `option` names; it need not exist."""
    try:
        if _is_there(path) and not path.is_dir():
            _fail(errno.ENOTDIR)
        _try(path)
    except OSError as error:
        raise _refused(path, error, f"another folder with {option}", f"a shorter name with {option}") from None


def _is_there(path: Path) -> bool:
    """OSError where there is a file in the place of one of its folders, or a name is longer than the system takes."""
    try:
        path.stat()
    except FileNotFoundError:
        above = next(folder for folder in path.absolute().parents if folder.exists())
        longest = os.pathconf(above, "PC_NAME_MAX") if hasattr(os, "pathconf") else LONGEST
        if any(len(os.fsencode(name)) > longest for name in path.parts):  # below what is not there, it does not say
            _fail(errno.ENAMETOOLONG)
        return False
    return True


def _try(folder: Path) -> None:
    """Make a file in it, or in the nearest one above it that is there, and remove it again."""
    there = next(above for above in (folder.absolute(), *folder.absolute().parents) if above.exists())
    with tempfile.TemporaryFile(dir=there):
        pass


def _fail(number: int) -> None:
    raise OSError(number, os.strerror(number))


def _refused(path: Path, error: OSError, other: str, shorter: str) -> InvalidInput:
    remedy = shorter if error.errno == errno.ENAMETOOLONG else other
    return InvalidInput(f"{cut(str(path))}: cannot be written to ({error.strerror}); give {remedy}")
