"""Entries of the cache that a power cut, a full disk or a person has damaged are built anew, whatever the damage."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.cache_entries import forget
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from autocompress.io import cache, checksums

CONTENT = {"pixels.u8": bytes(range(256)) * 20, "index.json": b'{"a": 1}', "deep/er.npy": b"\x93NUMPY"}


pytestmark = pytest.mark.usefixtures("folder")


def build(path: Path) -> None:
    for name, content in CONTENT.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(content)


def opened() -> Path:
    """The entry, as a process opens it that has not opened it yet."""
    forget()
    return cache.entry("kind", "key", build)


def contents(path: Path) -> dict[str, bytes]:
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def keeping_times(damage: Callable[[Path], object]) -> Callable[[Path], object]:
    """As a disk damages a file, which leaves its time as it was."""

    def damaged(entry: Path) -> None:
        times = {file: file.stat().st_mtime_ns for file in entry.rglob("*") if file.is_file()}
        damage(entry)
        for file, time in times.items():
            os.utime(file, ns=(time, time))

    return damaged


DAMAGES: dict[str, Callable[[Path], object]] = {
    "zeros of the same size": lambda entry: (entry / "pixels.u8").write_bytes(bytes(256 * 20)),
    "zeros, and the old time": keeping_times(lambda entry: (entry / "pixels.u8").write_bytes(bytes(5120))),
    "empty": lambda entry: (entry / "index.json").write_bytes(b""),
    "cut": lambda entry: os.truncate(entry / "pixels.u8", 17),
    "longer": lambda entry: (entry / "pixels.u8").write_bytes(bytes(6000)),
    "a part is gone": lambda entry: (entry / "index.json").unlink(),
    "a part more": lambda entry: (entry / "another.npy").write_bytes(b""),
    "all is gone": shutil.rmtree,
    "a part is a folder": lambda entry: ((entry / "index.json").unlink(), (entry / "index.json").mkdir()),
    "a part is a link": lambda entry: (
        (
            (entry / "index.json").unlink(),
            (entry / "index.json").symlink_to(entry / "pixels.u8"),
        )
    ),
    "the entry is a file": lambda entry: (shutil.rmtree(entry), entry.write_text("x")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_built_anew(damage: str) -> None:
    entry = opened()
    DAMAGES[damage](entry)
    assert contents(opened()) == CONTENT


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "\xff", "[" * 5000, '{"pixels.u8": 1}', '{"../x": {}}'])
def test_without_its_checksums_it_is_built_anew(folder: Path, text: str) -> None:
    opened()
    (recorded,) = (folder / ".checksums").iterdir()
    recorded.write_text(text, encoding="latin-1")
    assert contents(opened()) == CONTENT
    assert json.loads(recorded.read_text()).keys() == CONTENT.keys()


def test_a_whole_entry_is_not_built_again_nor_one_that_was_copied(folder: Path, tmp_path: Path) -> None:
    entry = opened()
    inode = entry.stat().st_ino
    assert opened().stat().st_ino == inode
    for file in entry.rglob("*"):  # what copying does
        os.utime(file, (1, 1))
    assert opened().stat().st_ino == inode


@examples(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 5119), byte=st.integers(0, 255), length=st.integers(0, 6000))
def test_any_other_content_is_noticed(tmp_path: Path, position: int, byte: int, length: int) -> None:
    folder, recorded = tmp_path / "entry", tmp_path / "recorded.json"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    build(folder)
    checksums.record(folder, recorded)
    changed = bytearray(CONTENT["pixels.u8"])
    changed[position] = byte
    content = bytes(changed[:length])
    keeping_times(lambda entry: (entry / "pixels.u8").write_bytes(content))(folder)
    assert checksums.is_whole(folder, recorded) is (content == CONTENT["pixels.u8"])


def test_large_files_are_read_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "PIECE", 16)
    monkeypatch.setattr(checksums, "SAMPLES", 4)
    folder, recorded = tmp_path / "entry", tmp_path / "recorded.json"
    folder.mkdir()
    (folder / "large").write_bytes(os.urandom(4000))
    checksums.record(folder, recorded)
    assert checksums.is_whole(folder, recorded)
    time = (folder / "large").stat().st_mtime_ns
    (folder / "large").write_bytes(bytes(4000))
    assert not checksums.is_whole(folder, recorded)
    os.utime(folder / "large", ns=(time, time))
    assert not checksums.is_whole(folder, recorded)
