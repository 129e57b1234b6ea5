"""Whether files are those that were written: the digest of one, and the sizes and CRC-32 checksums of a folder's.

A file that nobody wrote to since (its time is the recorded one) is read in part: SAMPLES pieces of it, the first and
the last among them, which finds what a power cut or a full disk does to files. Any other is read as a whole.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from autocompress.io.atomic import sync, sync_folder, write_json

PIECE = 1 << 20  # bytes
SAMPLES = 32


def digest_of(content: bytes) -> str:
    """What a side file has of the content of a file that it belongs to: weights, or a picture."""
    return blake2b(content, digest_size=16).hexdigest()


def is_known(file: Path, digests: Mapping[str, Collection[str]]) -> bool:
    """Whether a file's content is one of those that a side file has the digests of, under the file's name.

    So is any where there are no digests at all, as older side files have none.
    """
    return not digests or digest_of(file.read_bytes()) in digests.get(file.name, ())


def record(folder: Path, into: Path) -> None:
    """Sync every file of a folder, and write what `is_whole` compares with."""
    files = {}
    for file in _files(folder):
        sync(file)
        about = file.stat()
        sampled, whole = _checksums(file, about.st_size)
        name = file.relative_to(folder).as_posix()
        files[name] = {"size": about.st_size, "time": about.st_mtime_ns, "sampled": sampled, "whole": whole}
    for parent in {folder, *(file.parent for file in _files(folder))}:
        sync_folder(parent)
    write_json(into, files)


def is_whole(folder: Path, recorded: Path) -> bool:
    """Whether a folder has just the files that were recorded, and they are unchanged, as far as was read."""
    try:
        if not recorded.is_file():  # a pipe would be waited for
            return False
        files = json.loads(recorded.read_text(encoding="utf-8"))
        if not isinstance(files, dict) or folder.is_symlink() or not folder.is_dir():
            return False
        if files.keys() != {file.relative_to(folder).as_posix() for file in _files(folder)}:
            return False
        return all(_is_unchanged(folder / name, about) for name, about in files.items())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _is_unchanged(file: Path, about: dict[str, Any]) -> bool:
    now = file.lstat()
    if now.st_size != about["size"] or file.is_symlink() or not file.is_file():
        return False
    if now.st_mtime_ns == about["time"]:
        with file.open("rb") as opened:
            return bool(_sampled(opened, now.st_size) == about["sampled"])
    return bool(_checksums(file, now.st_size)[1] == about["whole"])


def _checksums(file: Path, size: int) -> tuple[int, int]:
    """That of the samples, and that of all bytes."""
    with file.open("rb") as opened:
        sampled, whole = _sampled(opened, size), 0
        opened.seek(0)
        while piece := opened.read(PIECE):
            whole = zlib.crc32(piece, whole)
    return sampled, whole


def _sampled(file: BinaryIO, size: int) -> int:
    checksum, last = 0, max(0, size - PIECE)
    for sample in range(SAMPLES if size > SAMPLES * PIECE else -(-size // PIECE)):
        file.seek(last * sample // (SAMPLES - 1) if size > SAMPLES * PIECE else sample * PIECE)
        checksum = zlib.crc32(file.read(PIECE), checksum)
    return checksum
