"""Pipes where files of ours are read: they are refused, and not waited for."""

import os
from pathlib import Path

import pytest

from autocompress.errors import AutocompressError, RunError
from autocompress.io.atomic import read_json
from autocompress.io.checkpoints import load_objects
from autocompress.io.checksums import is_whole
from autocompress.search import RunFolder


def test_json(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(RunError, match=r"a\.json: cannot be read \(no regular file\)"):
        read_json(tmp_path / "a.json")


def test_a_run(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(AutocompressError, match=r"config\.json: cannot be read"):
        assert RunFolder(tmp_path).config


def test_a_state(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "state.pt")
    with pytest.raises(AutocompressError, match="no regular file"):
        load_objects(tmp_path / "state.pt")


def test_checksums(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    assert not is_whole(tmp_path, tmp_path / "a.json")
