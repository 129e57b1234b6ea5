"""The cache folder: built once, by one of many processes; whole or not at all; bounded."""

import errno
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from autocompress.errors import InvalidInput
from autocompress.io import cache

OPEN = """
import sys, time
from pathlib import Path
from autocompress.io import cache

def build(folder):
    log = Path(sys.argv[1])
    (folder / "half").write_bytes(bytes(1000))
    with log.open("a") as file:
        file.write("start\\n")
    time.sleep(float(sys.argv[2]))
    (folder / "whole").write_bytes(bytes(500))
    with log.open("a") as file:
        file.write("end\\n")

print(cache.entry("kind", "key", build), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUTOCOMPRESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def opener(log: Path, seconds: float) -> subprocess.Popen[str]:
    """A process that opens the entry (building takes `seconds`), prints its path and lives until ended."""
    command = [sys.executable, "-c", OPEN, str(log), str(seconds)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def file_of(size: int) -> Callable[[Path], None]:

    def build(path: Path) -> None:
        (path / "data").write_bytes(bytes(size))

    return build


def fail(path: Path) -> None:
    (path / "data").write_bytes(b"half")
    raise RuntimeError("no luck")


def never(path: Path) -> None:
    raise AssertionError("built again")


def forget() -> None:
    """As if the process that opened the entries had ended."""
    for lock in cache._in_use.values():
        lock.release()
    cache._in_use.clear()


def put(key: str, size: int, age: float = 0) -> Path:
    """An entry nobody uses, last used `age` seconds ago."""
    path = cache.entry("kind", key, file_of(size))
    os.utime(path, (time.time() - age,) * 2)
    forget()
    return path


def keys() -> list[str]:
    return [item.key for item in cache.entries()]


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


def test_another_file_that_cannot_be_read_is_named(folder: Path) -> None:
    def build(_: Path) -> None:
        Path("nowhere").read_bytes()

    with pytest.raises(FileNotFoundError, match="nowhere"):
        cache.entry("kind", "key", build)


def test_other_things_in_the_folder_are_never_touched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "photos/holiday").mkdir(parents=True)
    (folder / "photos/holiday/1.jpg").write_bytes(bytes(5000))
    (folder / "kind").mkdir()
    (folder / "kind/notes").write_text("mine")
    monkeypatch.setenv("AUTOCOMPRESS_CACHE_LIMIT", "2K")
    put("a", 1500)
    put("b", 1500)
    assert keys() == ["b"]
    cache.clear()
    assert (folder / "photos/holiday/1.jpg").exists()
    assert (folder / "kind/notes").exists()


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


def test_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUTOCOMPRESS_CACHE", str(tmp_path / "file"))
    with pytest.raises(InvalidInput, match=r"file: the cache folder cannot be written .*; set AUTOCOMPRESS_CACHE to"):
        cache.entry("kind", "key", never)


def test_empty_cache(folder: Path) -> None:
    assert cache.entries() == []
    assert cache.clear() == []
    assert not folder.exists()


def test_default_folder_is_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTOCOMPRESS_CACHE")
    assert cache.folder().name == "autocompress"


@pytest.mark.parametrize("place", [".locks", ".building", ".checksums", ".users", "kind"])
@pytest.mark.parametrize("what", ["link", "file"])
def test_what_stands_where_the_cache_needs_a_folder_is_named(folder: Path, place: str, what: str) -> None:
    precious = outside(folder)
    (precious / "kind+a.json").touch()
    folder.mkdir(exist_ok=True)
    if what == "link":
        (folder / place).symlink_to(precious)
    else:
        (folder / place).touch()
    with pytest.raises(InvalidInput, match=rf"{re.escape(place)}: .* remove it, or set AUTOCOMPRESS_CACHE"):
        put("a", 10)
    cache.clear()
    assert {file.name for file in precious.iterdir()} == {"photo.jpg", "kind+a.json"}


@pytest.mark.parametrize("place", [".checksums/kind+a.json", ".users/kind+a"])
@pytest.mark.parametrize("what", ["folder", "file", "pipe"])
def test_what_stands_where_the_cache_writes_goes(folder: Path, place: str, what: str) -> None:
    (folder / place).parent.mkdir(parents=True)
    make = {"folder": Path.mkdir, "file": Path.touch, "pipe": os.mkfifo}[what]
    make(folder / place)
    put("a", 10)
    forget()
    put("a", 10)
    assert keys() == ["a"]


def test_links_that_stand_for_locks_are_no_entries(folder: Path) -> None:
    precious = outside(folder)
    put("a", 10)
    (folder / "kind/b").mkdir()
    (folder / ".locks/kind+b").symlink_to(precious / "photo.jpg")
    cache.clear()
    assert (folder / "kind/b").is_dir()
    assert (precious / "photo.jpg").stat().st_size == 100


@pytest.mark.parametrize("name", ["kind+a", "kind+b", "other+c"])
@pytest.mark.parametrize("what", ["folder", "pipe"])
def test_what_stands_among_the_locks_is_passed_over_or_named(folder: Path, name: str, what: str) -> None:
    put("a", 10)
    forget()
    (folder / "other/c").mkdir(parents=True)
    lock = folder / ".locks" / name
    lock.unlink(missing_ok=True)
    {"folder": Path.mkdir, "pipe": os.mkfifo}[what](lock)
    assert keys() == ([] if name == "kind+a" else ["a"])
    assert cache.clear() == []
    assert keys() == []
    assert (folder / "other/c").is_dir()
    if name == "kind+a":
        with pytest.raises(InvalidInput, match=r"\.locks/kind\+a: no file, where the cache needs one .*; remove it$"):
            put("a", 10)


def test_what_stands_among_the_users_is_none_of_them(folder: Path) -> None:
    put("a", 10)
    forget()
    (folder / ".users/kind+a/photos").mkdir()
    assert cache.clear() == []
    assert keys() == []


def outside(folder: Path) -> Path:
    """A folder that is not the cache's, with a file."""
    precious = folder.parent / "precious"
    precious.mkdir()
    (precious / "photo.jpg").write_bytes(bytes(100))
    return precious


@pytest.mark.parametrize("place", [".locks", ".building"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(st.sampled_from("+.ab~ \n\\*é"), min_size=1, max_size=8).filter(lambda name: name not in {".", ".."})
)
@example(name="..+precious")
@example(name="a+b+c")
@example(name="a")
@example(name="..+..")
@example(name=".+kind")
def test_names_that_are_not_ours_are_no_entries(folder: Path, place: str, name: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    precious = folder.parent / "precious"
    if not precious.exists():
        outside(folder)
    put("a", 10)
    (folder / place).mkdir(exist_ok=True)
    (folder / place / name).touch()
    cache.entries()
    put("b", 10)
    cache.clear()
    assert [file.name for file in precious.iterdir()] == ["photo.jpg"]
    assert keys() == []


@pytest.mark.parametrize("place", ["kind/a", "kind", ".building", ".building/kind+a", ".users/kind+a"])
@pytest.mark.parametrize("leads", ["outside", "nowhere", "itself"])
def test_links_are_never_followed_when_something_is_removed(folder: Path, place: str, leads: str) -> None:
    precious = outside(folder)
    (precious / "a").mkdir()
    (precious / "kind+a").mkdir()
    (precious / "a/notes").touch()
    (precious / "kind+a/notes").touch()
    put("a", 10)
    link = folder / place
    if link.is_dir():
        shutil.rmtree(link)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to({"outside": precious, "nowhere": folder / "none", "itself": link}[leads])
    before = sorted(precious.rglob("*"))
    cache.clear()
    assert sorted(precious.rglob("*")) == before
    if place in ("kind/a", ".building/kind+a"):  # and what is there is built as if there were no link
        assert (put("a", 20) / "data").stat().st_size == 20
        assert keys() == ["a"]
        cache.clear()
        assert sorted(precious.rglob("*")) == before
