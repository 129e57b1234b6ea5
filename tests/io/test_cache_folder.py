"""The cache folder on the disk: what else is in it is never touched, and where it cannot be used, that is said."""

import os
import re
import shutil
from pathlib import Path

import pytest
from helpers.cache_entries import forget, keys, never, put
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from autocompress.errors import InvalidInput
from autocompress.io import cache

pytestmark = pytest.mark.usefixtures("folder")


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


def test_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUTOCOMPRESS_CACHE", str(tmp_path / "file"))
    with pytest.raises(InvalidInput, match=r"file: the cache folder cannot be written .*; set AUTOCOMPRESS_CACHE to"):
        cache.entry("kind", "key", never)


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
@pytest.mark.parametrize("what", ["folder", "pipe", "link"])
def test_what_stands_among_the_locks_is_passed_over_or_named(folder: Path, name: str, what: str) -> None:
    put("a", 10)
    forget()
    (folder / "other/c").mkdir(parents=True)
    lock = folder / ".locks" / name
    lock.unlink(missing_ok=True)
    precious = outside(folder) / "photo.jpg"
    {"folder": Path.mkdir, "pipe": os.mkfifo, "link": lambda path: path.symlink_to(precious)}[what](lock)
    assert keys() == ([] if name == "kind+a" else ["a"])
    assert cache.clear() == []
    assert keys() == []
    assert (folder / "other/c").is_dir()
    if name == "kind+a":
        found = "a link" if what == "link" else "no file"
        with pytest.raises(InvalidInput, match=rf"\.locks/kind\+a: {found}, where the cache needs one .*; remove it$"):
            put("a", 10)
    assert precious.stat().st_size == 100


def test_what_stands_among_the_users_is_none_of_them(folder: Path) -> None:
    put("a", 10)
    forget()
    (folder / ".users/kind+a/photos").mkdir()
    precious = outside(folder) / "photo.jpg"
    (folder / ".users/kind+a/link").symlink_to(precious)
    assert cache.clear() == []
    assert keys() == []
    assert precious.stat().st_size == 100


def outside(folder: Path) -> Path:
    """A folder that is not the cache's, with a file."""
    precious = folder.parent / "precious"
    precious.mkdir()
    (precious / "photo.jpg").write_bytes(bytes(100))
    return precious


@pytest.mark.parametrize("place", [".locks", ".building"])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
