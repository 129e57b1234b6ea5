"""What is written is still there after a power cut: files are synced, then named, then their folders are synced."""

import os
import stat
from pathlib import Path

import pytest

from autocompress.io import atomic


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The inode numbers of what is synced, in order, with what it is."""
    seen: list[str] = []
    sync = os.fsync

    def noted(file: int) -> None:
        about = os.fstat(file)
        seen.append(f"{'folder' if stat.S_ISDIR(about.st_mode) else 'file'} {about.st_ino}")
        sync(file)

    monkeypatch.setattr(os, "fsync", noted)
    return seen


def test_a_file_and_then_its_folder(tmp_path: Path, synced: list[str]) -> None:
    atomic.write_json(tmp_path / "a.json", {})
    assert synced == [f"file {(tmp_path / 'a.json').stat().st_ino}", f"folder {tmp_path.stat().st_ino}"]


def test_folders_that_are_made_for_it_too(tmp_path: Path, synced: list[str]) -> None:
    atomic.write_json(tmp_path / "b" / "c" / "a.json", {})
    folders = {f"folder {folder.stat().st_ino}" for folder in (tmp_path, tmp_path / "b", tmp_path / "b" / "c")}
    assert set(synced[1:]) == folders
    assert len(synced) == 4


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where it cannot even be opened."""
    opened = os.open

    def refused(path: Path, *rest: int) -> int:
        if Path(path).is_dir():
            raise PermissionError
        return opened(path, *rest)

    monkeypatch.setattr(os, "open", refused)
    atomic.write_json(tmp_path / "a.json", [1])
    assert (tmp_path / "a.json").read_text() == "[\n  1\n]\n"
