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


def test_the_teacher_is_not_run_again_for_the_pictures(
    photos: Path, teacher_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOCOMPRESS_CACHE", str(tmp_path / "cache"))
    given = {"budget_flops": "20G", "teacher": [str(teacher_file)], "train": photos, "val": photos, "init": "scratch"}
    task = open_task(Settings.read(given))
    (student_space,) = task.joint_space
    stages, runs = [""], list[str]()
    student_space.teacher.register_forward_hook(lambda *_: runs.append(stages[-1].partition(":")[0]))
    crops = prepare(task, stages.append, precision=Precision()).crops
    assert "scoring the teacher" in runs
    assert "cutting out crops" in stages
    assert "cutting out crops" not in runs
    assert crops.psnr_y[student_space.teacher_digest]
