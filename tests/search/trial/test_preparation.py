"""Stages of the preparation: those that take long with many images say how far they are."""

from pathlib import Path

import pytest

from autocompress.compute.precision import Precision
from autocompress.search.settings import Settings
from autocompress.search.task import open_task
from autocompress.search.trial.preparation import prepare


def test_decoding_and_scoring_tell_their_share(
    photos: Path, teacher_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOCOMPRESS_CACHE", str(tmp_path / "cache"))
    given = {"budget_flops": "20G", "teacher": [str(teacher_file)], "train": photos, "val": photos}
    stages: list[str] = []
    prepare(open_task(Settings.read(given | {"init": "scratch"})), stages.append, precision=Precision())
    for what in ("decoding images", "scoring bicubic", "scoring the teacher"):
        assert what in stages
        assert f"{what}: 100%" in stages
