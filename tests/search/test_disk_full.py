"""A disk that is full when a file is written."""

import errno
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import fake_trials
from helpers.fake_trials import FakeSetup
from helpers.programs import check_whole, trials_in

from autocompress.errors import DiskFull
from autocompress.io import atomic, checkpoints
from autocompress.search import RunFolder
from autocompress.search.run.artifact_store import AtomicArtifactStore
from autocompress.search.run.logs import TrialLog
from autocompress.search.run.recovery import sweep


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing can be synced."""

    def no_room(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_room)
    return monkeypatch


@pytest.mark.parametrize(
    "write",
    [
        lambda path: atomic.write_json(path, {}),
        lambda path: checkpoints.save_tensors(path, {"a": torch.ones(2)}),
        lambda path: checkpoints.save_pth(path, {"a": torch.ones(2)}),
    ],
)
@pytest.mark.usefixtures("full")
def test_it_is_said_in_one_line_and_nothing_is_left(tmp_path: Path, write: Any) -> None:
    with pytest.raises(DiskFull, match=r"file: cannot be written \(No space left on device\); make room") as caught:
        write(tmp_path / "file")
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EDQUOT, "make room"),
        (errno.EFBIG, r"raise the limit of a file's size \(ulimit -f\)"),
    ],
)
def test_the_remedy_is_that_for_what_is_short(tmp_path: Path, number: int, remedy: str) -> None:
    said = rf"file: cannot be written \({re.escape(os.strerror(number))}\); {remedy}, and the same command goes on$"
    with pytest.raises(DiskFull, match=said) as caught, atomic.room_for(tmp_path / "file"):
        raise OSError(number, os.strerror(number))
    assert caught.value.errno == number
    with pytest.raises(PermissionError), atomic.room_for(tmp_path / "file"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


LIMITED = """
import resource, sys
from pathlib import Path
from autocompress.io import atomic

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
atomic.write_bytes(Path(sys.argv[1]) / "small", bytes(1000))
try:
    atomic.write_bytes(Path(sys.argv[1]) / "large", bytes(1001))
except atomic.DiskFull as error:
    print(error)
"""


def test_a_real_limit_of_a_files_size(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    ended = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "large: cannot be written (File too large); raise the limit of a file's size (ulimit -f)" in ended.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["small"]


@pytest.mark.usefixtures("full")
def test_a_picture_for_the_dashboard_is_whole_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(DiskFull):
        AtomicArtifactStore(tmp_path).write("an-id", BytesIO(b"a picture"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["artifacts", "crops"])
def test_what_a_kill_left_of_a_picture_is_swept(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    old, new, whole = (tmp_path / folder / name for name in (".a.1.tmp", ".b.2.tmp", "c"))
    for file in (old, new, whole):
        file.touch()
    os.utime(old, (0, 0))
    os.utime(whole, (0, 0))
    sweep(RunFolder(tmp_path), [])
    assert set((tmp_path / folder).iterdir()) == {new, whole}


def test_a_log_says_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(TrialLog, "_append", no_room)
    with pytest.raises(DiskFull, match=r"log\.txt: cannot be written"):
        TrialLog(tmp_path / "log.txt").write("something")


@pytest.mark.parametrize("file", ["student.json", pytest.param("state.pt", marks=pytest.mark.slow)])
def test_a_search_ends_and_goes_on(small: Any, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    write = atomic.write_atomically

    def no_room(path: Path, how: Any) -> None:
        with atomic.room_for(path):
            if path.name == file:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(path, how)

    monkeypatch.setattr(atomic, "write_atomically", no_room)
    with pytest.raises(DiskFull, match="the same command goes on"):
        fake_trials.run(small(), FakeSetup(), here=True)
    monkeypatch.setattr(atomic, "write_atomically", write)
    assert fake_trials.run(small(), FakeSetup(), here=True).reason == "all 6 trials are done"
    run = RunFolder(small().folder)
    check_whole(run, trials_in(run), 6)
