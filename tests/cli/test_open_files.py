"""A verb closes what it opens, files, sockets and connections to the study: nothing is left to be collected."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
from helpers.command_line import Call
from helpers.small_search import FinishedSearch

OPEN = Path("/proc/self/fd")
# entries of the cache stay mapped and locked while the process lives, on purpose; these are the system's, as devices
KEPT = (".npy", "/.users/", "anon_inode:", "/proc/")

MORE = ("--workers 2", "--log tensorboard", "--repeats 2 --refine 1s")

pytestmark = pytest.mark.skipif(not OPEN.is_dir(), reason="this system does not list open files in /proc")


def open_files() -> dict[str, str]:
    """By their numbers, but for devices."""
    found = {}
    for file in OPEN.iterdir():
        with suppress(OSError):  # that of the listing itself
            if not file.is_char_device():
                found[file.name] = str(file.readlink())
    return found


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """With the collector off, so that what has no owner any more stays open, and is seen."""
    resource_tracker.ensure_running()  # Python's own, by a pipe that stays, beside the first process that is started
    gc.collect()
    gc.freeze()  # what is there before is not looked through again
    before = open_files()
    gc.disable()
    try:
        yield
        left = [f"{number}: {name}" for number, name in open_files().items() if before.get(number) != name]
    finally:
        gc.enable()
    assert [file for file in left if not any(kept in file for kept in KEPT)] == []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(one.message) for one in warned if one.category is ResourceWarning] == []


@pytest.mark.parametrize(
    "words",
    [
        "pareto run",
        "status run",
        "report run",
        "compare run again --out both.html",
        "evaluate edsr-x2-1g --data photos",
        "export run --trial pick --out models --format safetensors --format pth",
        "upscale edsr-x2-1g photos/waves0.png large.png",
        "teacher show edsr-x2-1g",
        "models list",
        "spaces show edsr",
        "cache list",
    ],
)
def test_a_verb(call: Call, here: Path, finished: FinishedSearch, photos: Path, words: str) -> None:
    for name in ("run", "again"):
        (here / name).symlink_to(finished[0].path)
    (here / "photos").symlink_to(photos)
    call("--version")  # what all commands import
    with nothing_left_open():
        ended = call(*words.split())
    assert ended.code == 0, ended.err


@pytest.mark.slow
@pytest.mark.parametrize("more", ["", *MORE])
def test_a_search(call: Call, here: Path, search_words: list[object], more: str) -> None:
    if "tensorboard" in more:
        pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    with nothing_left_open():
        ended = call(*search_words, "--out", "run", *more.split())
    assert ended.code == 0, ended.err
    with nothing_left_open():
        assert call("search", "--join", "run").code == 0
        assert call("refine", "run", "--steps", "2").code == 0


def test_a_file_that_is_left_open_is_found(here: Path) -> None:
    """So the tests above can fail."""
    (here / "left").write_text("")
    with pytest.raises(AssertionError, match="left"), nothing_left_open():
        file = (here / "left").open()
    file.close()
