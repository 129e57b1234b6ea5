"""Weights & Biases, kept on the disk: nothing here leaves it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.small_search import run_search

from autocompress.errors import InvalidInput
from autocompress.event_log import logged
from autocompress.search import Settings
from autocompress.search.results.rows import front_rows
from autocompress.search.settings import Log


def test_without_wandb_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("autocompress.event_log.wandb.find_spec", lambda _: None)
    with pytest.raises(InvalidInput, match=r"pip install 'autocompress\[wandb\]'"), logged(Log.WANDB, tmp_path):
        pytest.fail("it was opened")


@pytest.mark.filterwarnings("default")  # of wandb and what it imports
class TestInstalled:
    """Where wandb is installed."""

    @pytest.fixture(autouse=True)
    def _nobody_is_logged_in(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        pytest.importorskip("wandb", reason="wandb is not installed")
        monkeypatch.delenv("WANDB_API_KEY", raising=False)
        for name in ("HOME", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
            monkeypatch.setenv(name, str(tmp_path / "home"))

    def test_where_nobody_is_logged_in_it_says_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match=r"run `wandb login`"), logged(Log.WANDB, tmp_path):
            pytest.fail("it was opened")

    def test_the_front_and_the_curves_are_there(
        self, settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WANDB_MODE", "offline")
        wanted = settings(trials=2, steps=4)
        with logged(Log.WANDB, wanted.folder) as (log,):
            run, _ = run_search(wanted, log)
        (file,) = run.path.glob("wandb/offline-run-*/run-*.wandb")
        content = file.read_bytes()
        assert b"front/hypervolume" in content
        for student in run.students():
            assert b"trial-%04d/psnr_y" % student.trial in content
            assert b"trial-%04d/flops" % student.trial in content
        tables = [
            json.loads(file.read_text())["data"]
            for file in run.path.glob("wandb/offline-run-*/files/media/table/**/*.json")
        ]
        last = max(tables, key=len)
        assert [int(row[0]) for row in last] == [row["trial"] for row in front_rows(run)]
