"""Fixtures for all tests."""

import os

# Before anything loads a BLAS, which reads it once: threads that wait for small products burn more time than they save,
# and two processes test at once and start others.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["RAY_AUTH_MODE"] = "disabled"  # also read once; a new head would want a token of whoever joins

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch
from helpers.browser import browser, open_page  # noqa: F401 (fixtures)
from helpers.command_line import Call, Ended
from helpers.edsr_networks import tiny_edsr
from helpers.images import write_waves
from helpers.pictures import network, photo  # noqa: F401 (fixtures)
from helpers.small_search import BUDGET, SPACE, FinishedSearch, Recorder, run_search

from autocompress.cli import main
from autocompress.networks.edsr.network import EDSR
from autocompress.report import ReportData, write_report
from autocompress.search import RunFolder, Settings
from autocompress.search.results.front import write_pareto

torch.set_num_threads(1)
# one case may take as long as the machine makes it: the first one imports, and other processes are at work
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


def use_memory(folder: Path, room: int) -> None:
    """Let temporary folders lie in one of memory, if it has `room` bytes and programs in it run.

    A search syncs its files some hundred times, and tests need not wait for a disk.
    """
    if folder.is_mount() and shutil.disk_usage(folder).free >= room and not os.statvfs(folder).f_flag & os.ST_NOEXEC:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(folder))  # which pytest's other processes inherit


use_memory(Path("/dev/shm"), room=4 << 30)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell; programs would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of benchmark images and golden files beside the repository."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"{folder} with the benchmark images and golden files is not here")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOCOMPRESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_teacher() -> EDSR:
    """Its copy in a file is `teacher_file`."""
    return tiny_edsr()


@pytest.fixture(scope="session")
def teacher_file(tiny_teacher: EDSR, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny teacher in a file as BasicSR writes it."""
    path = tmp_path_factory.mktemp("teacher") / "tiny.pth"
    torch.save({"params": tiny_teacher.state_dict()}, path)
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three images of 96x96 pixels: waves of all directions under a little noise."""
    folder = tmp_path_factory.mktemp("photos")
    for index in range(3):
        write_waves(folder / f"waves{index}.png", 96, 96, seed=index)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def run_command(patch: pytest.MonkeyPatch, *words: object) -> Any:
    """Run the command line in this process; its exit code."""
    patch.setattr(sys, "argv", ["autocompress", *map(str, words)])
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    return 0


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs the command line in this process."""

    def call(*words: object) -> Ended:
        capsys.readouterr()
        code = run_command(monkeypatch, *words)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def small(tmp_path: Path, teacher_file: Path, photos: Path) -> Callable[..., Settings]:
    """Settings of a search with fake trials, into a folder of its own; any field can be given."""
    (tmp_path / "small.yaml").write_text(SPACE)

    def make(**fields: Any) -> Settings:
        usual: dict[str, Any] = {
            "budget_flops": BUDGET,
            "spaces": (str(tmp_path / "small.yaml"),),
            "teachers": (str(teacher_file),),
            "train": photos,
            "trials": 6,
            "steps": 60,
            "out": tmp_path / "run",
        }
        if any(name.startswith("budget") for name in fields):
            del usual["budget_flops"]
        return Settings(**usual | fields)

    return make


@pytest.fixture
def settings(small: Callable[..., Settings]) -> Callable[..., Settings]:
    """Those of a real search of seconds; any field can be given."""

    def make(**fields: Any) -> Settings:
        usual: dict[str, Any] = {"init": "scratch", "trials": 4, "steps": 4}
        return small(**usual | fields)

    return make


@pytest.fixture(scope="session")
def search_words(tmp_path_factory: pytest.TempPathFactory, teacher_file: Path, photos: Path) -> list[object]:
    """Of the command for a search of seconds."""
    space = tmp_path_factory.mktemp("space") / "small.yaml"
    space.write_text(
        """
family: edsr
parameters:
  num_feat: {type: int, low: 2, high: 8, step: 2}
  num_block: {type: int, low: 1, high: 2}
"""
    )
    inputs = ["--teacher", teacher_file, "--train", photos, "--space", space, "--init", "scratch"]
    return ["search", "--budget-flops", "0.4G", *inputs, "--trials", "3", "--steps", "4"]


@pytest.fixture(scope="session")
def searched_once(tmp_path_factory: pytest.TempPathFactory, search_words: list[object]) -> Path:
    """The folder of a search that the command line has run, to be read; `searched` is its copy."""
    folder = tmp_path_factory.mktemp("searched") / "run"
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        assert run_command(patch, *search_words, "--out", folder) == 0
    return folder


@pytest.fixture
def searched(here: Path, searched_once: Path) -> Path:
    """That search, in the working folder, to be changed."""
    shutil.copytree(searched_once, here / "run")
    return Path("run")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, teacher_file: Path, photos: Path) -> FinishedSearch:
    """One search, by projection, with its results written."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "small.yaml").write_text(SPACE)
    wanted = Settings(
        budget_flops=BUDGET,
        spaces=(str(folder / "small.yaml"),),
        teachers=(str(teacher_file),),
        train=photos,
        trials=10,
        steps=4,
        out=folder / "run",
    )
    progress = Recorder()
    run, outcome = run_search(wanted, progress)
    write_pareto(run)
    write_report(ReportData.of(run))
    return run, outcome, progress


@pytest.fixture
def copied(finished: FinishedSearch, tmp_path: Path) -> RunFolder:
    """That search, to be changed."""
    shutil.copytree(finished[0].path, tmp_path / "run")
    return RunFolder(tmp_path / "run")
