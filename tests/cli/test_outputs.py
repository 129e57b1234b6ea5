"""What an option names to be written is checked before any work: every verb, and every way in which it cannot be."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import Call, assert_refused
from helpers.small_search import FinishedSearch
from typer.main import get_command

from autocompress.cli import app
from autocompress.errors import InvalidInput
from autocompress.io.outputs import check_file, check_folder

FOLDERS = {  # what comes before the name of a folder to write to
    "search": "search --budget-flops 20G --out",
    "prune": "prune edsr-baseline-x2 --out",
    "export": "export edsr-x2-1g --out",
    "upscale": "upscale edsr-x2-1g images",
}
FILES = {  # what comes before the name of a file, and its ending
    "distill": ("distill edsrmini --out", ".safetensors"),
    "teacher train": ("teacher train edsr --out", ".safetensors"),
    "report": ("report run --out", ".html"),
    "report --png": ("report run --png", ".png"),
    "compare": ("compare run run --out", ".html"),
    "upscale": ("upscale edsr-x2-1g images/a.png", ".png"),
}
LONG = "n" * 260
BAD: dict[str, str] = {  # how a name is bad: the name, without its ending
    "too long": LONG,
    "too long, in a folder to be made": f"new/{LONG}",
    "a folder that is a file": "file/below",
    "no place of a user's": "/proc/below",
}
TOO_LONG, NO_PLACE = ("File name too long", "; give a shorter name"), ("cannot be written to (", "; give another f")
SAID = {bad: TOO_LONG if "long" in bad else NO_PLACE for bad in BAD}


@pytest.fixture
def there(here: Path, photos: Path, finished: FinishedSearch) -> Path:
    shutil.copytree(finished[0].path, here / "run")
    (here / "images").mkdir()
    shutil.copy(next(iter(sorted(photos.iterdir()))), here / "images" / "a.png")
    (here / "file").write_text("")
    return here


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def options() -> set[str]:
    """Every place of the command line that takes what is to be written."""
    found: set[str] = set()

    def look(command: Any, words: str) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            look(inner, f"{words} {name}".strip())
        for parameter in command.params:
            flag = parameter.opts[0]
            if flag == "--out" or re.search(r"\b[Ww]rite\b", getattr(parameter, "help", None) or ""):
                found.add(f"{words} {flag}" if flag not in ("--out", "third") else words)

    look(get_command(app), "")
    return found


def test_every_such_option_is_tried() -> None:
    assert {*FOLDERS, *FILES} == options()


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("verb", FOLDERS)
def test_folders(call: Call, there: Path, verb: str, bad: str) -> None:
    before = snapshot(there)
    assert_refused(call(*FOLDERS[verb].split(), BAD[bad]), *SAID[bad])
    assert snapshot(there) == before


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("verb", FILES)
def test_files(call: Call, there: Path, verb: str, bad: str) -> None:
    words, ending = FILES[verb]
    before = snapshot(there)
    assert_refused(call(*words.split(), BAD[bad] + ending), *SAID[bad])
    assert snapshot(there) == before


@pytest.mark.parametrize("verb", FOLDERS)
def test_a_file_in_the_place_of_a_folder(call: Call, there: Path, verb: str) -> None:
    before = snapshot(there)
    assert_refused(call(*FOLDERS[verb].split(), "file"), "file", "; give a")
    assert snapshot(there) == before


@pytest.mark.parametrize("verb", [verb for verb in FILES if verb != "upscale"])  # that writes into a folder
def test_a_folder_in_the_place_of_a_file(call: Call, there: Path, verb: str) -> None:
    words, ending = FILES[verb]
    (there / f"folder{ending}").mkdir()
    assert_refused(call(*words.split(), f"folder{ending}"), "cannot be written to (Is a directory); give another file")


@pytest.mark.parametrize("check", [check_file, check_folder])
def test_what_can_be_written_leaves_nothing(check: Callable[[Path, str], None], here: Path) -> None:
    for name in ("new", "a/b/new", "n" * 255, str(here / "new")):
        check(Path(name), "--out")
    assert list(here.iterdir()) == []


def test_what_is_there_already(here: Path) -> None:
    (here / "file").write_text("as it was")
    check_file(Path("file"), "--out")
    check_folder(Path(), "--out")
    assert (here / "file").read_text() == "as it was"
    os.mkfifo("pipe")
    with pytest.raises(InvalidInput, match=r"pipe: cannot be written to \(.*\); give another file with --png"):
        check_file(Path("pipe"), "--png")
    assert [path.name for path in sorted(here.iterdir())] == ["file", "pipe"]


def test_a_file_system_that_takes_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    with pytest.raises(InvalidInput, match="Read-only file system"):
        check_folder(Path("new"), "--out")


@pytest.mark.parametrize("format", ["pth", "onnx-fp16"])
def test_files_that_are_called_as_what_they_are_made_of(
    call: Call, there: Path, teacher_file: Path, format: str
) -> None:
    """A foreign file's name may leave no room for the ending of what is made of it."""
    name = "n" * 251
    shutil.copy(teacher_file, there / f"{name}.pth")
    before = snapshot(there)
    refused = call("export", f"{name}.pth", "--out", "models", "--format", format)
    assert_refused(refused, "File name too long", "give the file a shorter name")
    assert snapshot(there) == before
