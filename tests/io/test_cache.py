"""Entries of the cache: built once, by one of many processes; whole or not at all; bounded."""

import errno
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.cache_entries import fail, file_of, forget, keys, never, opener, put, wait_for

from autocompress.errors import InvalidInput
from autocompress.io import cache

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_built_once(folder: Path) -> None:
    path = cache.entry("kind", "key", file_of(10))
    assert path == folder / "kind/key"
    assert (path / "data").stat().st_size == 10
    assert cache.entry("kind", "key", never) == path
    [item] = cache.entries()
    assert (item.kind, item.key, item.bytes, item.path) == ("kind", "key", 10, path)
    assert item.last_used == pytest.approx(time.time(), abs=10)


def test_an_entry_says_what_it_is_of(folder: Path) -> None:
    """On one line, whatever the name of a folder of images has in it; one that says nothing has nothing to show."""
    cache.entry("pixels", "key", lambda folder: None, about="3 images of an\x1b[31m odd\nname " + "x" * 500)
    cache.entry("pixels", "other", lambda folder: None)
    named, unnamed = sorted(cache.entries(), key=lambda entry: entry.key)
    assert named.about.startswith("3 images of an")
    assert named.about.isprintable()
    assert len(named.about) < 300
    assert unnamed.about == ""


def test_failed_build_leaves_nothing(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="no luck"):
        cache.entry("kind", "key", fail)
    assert cache.entries() == []
    assert list((folder / ".building").iterdir()) == []
    assert (cache.entry("kind", "key", file_of(10)) / "data").stat().st_size == 10


def test_a_resumable_build_goes_on_with_what_an_interrupted_one_left(folder: Path) -> None:
    def go_on(path: Path) -> None:
        assert (path / "data").read_bytes() == b"half"
        (path / "data").write_bytes(b"whole")

    with pytest.raises(RuntimeError, match="no luck"):
        cache.entry("kind", "key", fail, resumable=True)
    assert cache.entries() == []
    assert (cache.entry("kind", "key", go_on, size=5, resumable=True) / "data").read_bytes() == b"whole"
    assert list((folder / ".building").iterdir()) == []
    with pytest.raises(RuntimeError, match="no luck"):
        cache.entry("kind", "other", fail, resumable=True)
    cache.clear()
    assert list((folder / ".building").iterdir()) == []


def test_two_processes_build_once(log: Path) -> None:
    with opener(log, 0.3) as first, opener(log, 0.3) as second:
        paths = [process.stdout.readline() for process in (first, second) if process.stdout]
        assert paths[0] == paths[1] != ""
        assert log.read_text() == "start\nend\n"
        assert {path.name for path in Path(paths[0].strip()).iterdir()} == {"half", "whole"}


def test_killed_builder_is_replaced(folder: Path, log: Path) -> None:
    with opener(log, 60) as killed:
        wait_for(log.exists)
        with opener(log, 0) as waiting:
            time.sleep(0.2)
            assert waiting.poll() is None
            assert not (folder / "kind/key").exists()
            killed.kill()
            assert waiting.stdout
            assert waiting.stdout.readline()
    assert log.read_text() == "start\nstart\nend\n"
    assert {path.name for path in (folder / "kind/key").iterdir()} == {"half", "whole"}
    assert list((folder / ".building").iterdir()) == []


def test_leftover_of_a_killed_builder_is_swept_by_another_build(folder: Path, log: Path) -> None:
    with opener(log, 60) as killed:
        wait_for(log.exists)
        put("other", 10)
        assert (folder / ".building/kind+key/half").exists()  # still being built
        killed.kill()
    put("third", 10)
    assert list((folder / ".building").iterdir()) == []
    assert keys() == ["other", "third"]


def test_least_recently_used_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOCOMPRESS_CACHE_LIMIT", "3K")
    for key, age in (("a", 300), ("b", 200), ("c", 100)):
        put(key, 1000, age)
    cache.entry("kind", "a", never)
    forget()
    put("d", 1000)
    assert keys() == ["c", "a", "d"]
    put("e", 2500)
    assert keys() == ["e"]


def test_known_size_makes_room_before_building(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOCOMPRESS_CACHE_LIMIT", "3K")
    put("a", 2000)

    def build(path: Path) -> None:
        assert keys() == []
        file_of(2000)(path)

    cache.entry("kind", "b", build, size=2000)
    assert keys() == ["b"]


def test_what_a_living_process_uses_stays(folder: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOCOMPRESS_CACHE_LIMIT", "2M")
    with opener(log, 0) as user:
        assert user.stdout
        assert user.stdout.readline()
        message = r"kind/big: 2MB do not fit .* beside 1.5KB in use; its limit is 2MB: set .*_LIMIT to at least 3M"
        with pytest.raises(InvalidInput, match=message):
            cache.entry("kind", "big", never, size=2_000_000)
        assert [item.key for item in cache.clear()] == ["key"]
        assert (folder / "kind/key/whole").exists()
        user.kill()
    cache.entry("kind", "big", file_of(10), size=2_000_000)
    assert keys() == ["big"]


def test_own_entries_are_in_use() -> None:
    path = cache.entry("kind", "key", file_of(10))
    assert [item.key for item in cache.clear()] == ["key"]
    assert path.exists()
    forget()
    assert cache.clear() == []
    assert not path.exists()
    assert cache.entries() == []
    assert cache.entry("kind", "key", file_of(20)).exists()


def test_larger_than_the_limit_after_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOCOMPRESS_CACHE_LIMIT", "1M")
    with pytest.raises(InvalidInput, match=r"kind/key: 1.5MB do not fit .* limit is 1MB: .* at least 2M"):
        cache.entry("kind", "key", file_of(1_500_000))
    assert cache.entries() == []
    assert list((folder / ".building").iterdir()) == []


def test_disk_too_small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put("a", 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5_000_000))
    with pytest.raises(
        InvalidInput, match=r"kind/key: 6MB do not fit on the disk, which has 5MB free; .*AUTOCOMPRESS_CACHE"
    ):
        cache.entry("kind", "key", never, size=6_000_000)

    def fill(path: Path) -> None:
        (path / "data").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InvalidInput, match="kind/key: the disk is full; free some space"):
        cache.entry("kind", "key", fill)
    assert list((folder / ".building").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EDQUOT, "the disk is full; free some space, or set AUTOCOMPRESS_CACHE to a folder on a larger one"),
        (errno.EFBIG, r"cannot be written \(File too large\); raise the limit of a file's size \(ulimit -f\)"),
        (errno.EIO, r"cannot be written \(Input/output error\); set AUTOCOMPRESS_CACHE to another folder"),
    ],
)
def test_what_stops_a_build_is_one_line(folder: Path, number: int, remedy: str) -> None:
    def build(_: Path) -> None:
        raise OSError(number, os.strerror(number))  # as of a write to an open file, without its name

    with pytest.raises(InvalidInput, match=f"kind/key: {remedy}$"):
        cache.entry("kind", "key", build, resumable=True)
    assert cache.entries() == []
    assert not list((folder / ".building").iterdir())


def test_an_array_of_which_a_part_was_written_is_told_as_a_full_disk(folder: Path) -> None:
    def fail(_: Path) -> None:
        raise OSError("239616 requested and 20448 written")  # as NumPy says it, without a number

    with pytest.raises(InvalidInput, match=r"the disk is full, or the size of files is limited .* on a larger disk"):
        cache.entry("kind", "key", fail)
    assert not list((folder / ".building").iterdir())


def test_another_file_that_cannot_be_read_is_named(folder: Path) -> None:
    def build(_: Path) -> None:
        Path("nowhere").read_bytes()

    with pytest.raises(FileNotFoundError, match="nowhere"):
        cache.entry("kind", "key", build)


@pytest.mark.parametrize(
    ("text", "size"),
    [("20G", 20 * 10**9), ("1.5t", 15 * 10**11), ("300 M", 3 * 10**8), ("7", 7), ("", 20 * 10**9)],
)
def test_limit_is_read(monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    monkeypatch.setenv("AUTOCOMPRESS_CACHE_LIMIT", text)
    assert cache.limit() == size


@pytest.mark.parametrize("text", ["lots", "-5G", "0", "G"])
def test_unreadable_limit(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("AUTOCOMPRESS_CACHE_LIMIT", text)
    with pytest.raises(InvalidInput, match=f"AUTOCOMPRESS_CACHE_LIMIT: '{text}' is no amount"):
        cache.entry("kind", "key", never)


def test_unreadable_limit_is_named_where_nothing_is_built(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put("key", 10)
    monkeypatch.setenv("AUTOCOMPRESS_CACHE_LIMIT", "nan")
    with pytest.raises(InvalidInput, match="AUTOCOMPRESS_CACHE_LIMIT: 'nan' is no amount"):
        cache.entry("kind", "key", never)


def test_empty_cache(folder: Path) -> None:
    assert cache.entries() == []
    assert cache.clear() == []
    assert not folder.exists()
