"""`--lr only`: LR images without HR images, from which students learn what their teacher makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.command_line import Call, assert_refused
from helpers.small_search import run_search

from autocompress.data.folders import open_folder
from autocompress.evaluation.records import MOST_TO_TEACHER, TO_TEACHER
from autocompress.evaluation.scores import network_upscaler
from autocompress.networks import load
from autocompress.search import RunFolder, Settings
from autocompress.search.task import open_task
from autocompress.search.trial.preparation import prepare

ONLY = ("--lr", "only")


@pytest.fixture
def alone(settings: Callable[..., Settings]) -> Settings:
    """The same images, taken for LR images."""
    return settings(score="teacher", lr=("only",), init="projection", trials=3)


def test_what_the_teacher_makes_stands_for_hr(alone: Settings, teacher_file: Path) -> None:
    context = prepare(open_task(alone))
    upscale = network_upscaler(load(teacher_file))
    (prepared,) = context.spaces.values()
    torch.testing.assert_close(context.bank.hr, prepared.targets)
    for pair in context.valid:
        np.testing.assert_array_equal(pair.hr, upscale(pair.lr))
    assert prepared.teacher["psnr_y"] == MOST_TO_TEACHER  # it equals itself
    batch = context.sampler(next(iter(_candidates(context)))).sample()
    torch.testing.assert_close(batch.targets["hr"], batch.targets["teacher"])


def _candidates(context: object) -> list[object]:
    from autocompress.search.space.search_space import Candidate

    (space,) = context.task.joint_space  # type: ignore[attr-defined]
    return [Candidate(space.name, {}, space.teacher.config, context.task.recipe, 0, 0)]  # type: ignore[attr-defined]


def test_a_search_and_what_follows_it(call: Call, here: Path, photos: Path, search_words: list[object]) -> None:
    ended = call(*search_words, "--score", "teacher", *ONLY, "--out", "run")
    assert ended.code == 0, ended.err
    students = RunFolder.existing(here / "run").students()
    assert students
    for student in students:
        assert student.metrics["psnr_y"] == pytest.approx(student.metrics[TO_TEACHER])
    assert call(*search_words, "--score", "teacher", *ONLY, "--out", "run").code == 0  # it is the same search
    for command in (("refine", "run", "--steps", "2"), ("pareto", "run"), ("status", "run"), ("report", "run")):
        assert call(*command).code == 0
    shown = call("pareto", "run").out  # the teacher, which is the truth here, is as near to it as can be
    assert "over bicubic" in shown
    assert "under teacher" not in shown
    assert "to its teacher" not in shown
    assert "<dt>under teacher</dt>" not in (here / "run" / "report.html").read_text()


@pytest.mark.slow
def test_one_student_learns_the_targets_images(call: Call, here: Path, photos: Path, teacher_file: Path) -> None:
    images = ("--train", photos, "--val", photos, "--data", photos, "--allow-weak-teacher", "--steps", "2")
    ended = call("distill", teacher_file, "--set", "num_feat=4", *images, *ONLY, "--out", "student.safetensors")
    assert ended.code == 0, ended.err
    side = json.loads((here / "student.json").read_text())
    (scores,) = side["metrics"].values()
    student, teacher = (network_upscaler(load(file)) for file in (here / "student.safetensors", teacher_file))
    lr = open_folder(photos, 2, min_size=8, lr=["only"]).read(0).lr
    far = np.abs(student(lr).astype(int) - teacher(lr).astype(int)).mean()
    assert 20 < scores["psnr_y"] < MOST_TO_TEACHER
    assert far < 30


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("search", "--budget-flops", "20G", *ONLY), "add --score teacher and --train DIR"),
        (("search", "--budget-flops", "20G", *ONLY, "--score", "teacher"), "add --score teacher and --train DIR"),
        (
            ("search", "--budget-flops", "20G", *ONLY, "--score", "teacher", "--train", ".", "--prune"),
            "a teacher is pruned on HR images",
        ),
        (("evaluate", "edsrmini-x2", "--data", ".", *ONLY), "scores need them; leave it out"),
        (("prune", "edsr-baseline-x2", "--train", ".", *ONLY, "--out", "pruned"), "prunings need them; leave it out"),
        (("distill", "edsrmini", "--train", ".", *ONLY, "--out", "s.safetensors"), "no images in it"),
        (("distill", "edsrmini", "--train", ".", *ONLY, "--lr", "LR", "--out", "s.safetensors"), "leave --lr LR out"),
        (("teacher", "train", "edsr", "--train", ".", *ONLY, "--out", "t.safetensors"), "no images in it"),
    ],
)
def test_what_needs_hr_is_refused(call: Call, here: Path, words: tuple[str, ...], message: str) -> None:
    assert_refused(call(*words), message)
    assert not list(here.iterdir())


def test_a_teacher_without_a_target_has_nothing_to_learn(call: Call, here: Path, photos: Path) -> None:
    train = ("teacher", "train", "edsr", "--set", "num_feat=4", "--set", "num_block=1", "--scale", "2", "--steps", "2")
    assert_refused(call(*train, "--train", photos, *ONLY, "--out", "t.safetensors"), "nothing to learn but a target")


def test_small_images_are_told_in_lr_pixels(tmp_path: Path, photos: Path) -> None:
    from autocompress.errors import DataError

    with pytest.raises(DataError, match="96x96 LR pixels, but both sides must be at least 100"):
        open_folder(photos, 2, min_size=200, lr=["only"])


def test_windows_and_sizes_are_those_of_lr(photos: Path) -> None:
    source = open_folder(photos, 2, min_size=8, lr=["only"])
    assert source.hr_sides(source.files[0]) == (192, 192)
    whole = source.read(0)
    assert whole.lr.shape == (96, 96, 3)
    assert whole.hr.shape == (192, 192, 3)
    part = source.within(source.hr_sides(source.files[0])[0] ** 2, 8).read(0)
    assert part.lr.shape[0] < 96
    assert part.hr.shape[0] == 2 * part.lr.shape[0]
    assert source.digest != open_folder(photos, 2, min_size=8).digest


@pytest.mark.slow
def test_it_is_the_same_after_joining(alone: Settings) -> None:
    run, _ = run_search(alone)
    assert Settings.from_dict(alone.to_dict()) == alone
    assert "--lr only" in alone.command
    assert run.students()
