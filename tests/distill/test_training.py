"""Distillation: the recipe's rules, the training itself, and going on after a stop as if there was none."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from helpers.images import write_waves
from torch import Tensor

from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.folders import open_folder
from autocompress.data.patches import Batch, PatchSampler
from autocompress.distill.recipe import Recipe
from autocompress.distill.targets import teacher_targets
from autocompress.distill.training import Training
from autocompress.errors import ConfigError, TrainingDiverged
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSR, EDSRConfig

SMALL = {"batch_size": 2, "patch_size": 24, "steps": 12}


# --- the recipe ---


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"steps": 0}, "steps is 0, but must be >= 1"),
        ({"batch_size": 0}, "batch_size is 0, but must be >= 1"),
        ({"patch_size": -1}, "patch_size is -1, but must be >= 1"),
        ({"batch_size": 1.5}, "batch_size is 1.5, but must be a whole number"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0, but must be > 0"),
        ({"learning_rate": math.nan}, "learning_rate is nan, but must be > 0"),
        ({"learning_rate": 1e39}, r"learning_rate is 1e\+39, but must be > 0, and at most 1e\+38"),
        ({"learning_rate": True}, "learning_rate is True, but must be a number or a word"),
        ({"feature_weight": 1e300}, "feature_weight is 1e\\+300, but must be >= 0, and at most 1e\\+38"),
        ({"steps": True}, "steps is True, but must be a number or a word"),
        ({"optimizer": "sgd"}, "optimizer is 'sgd', but must be one of soap, adam"),
        ({"clip": 0}, "clip is 0, but must be > 0"),
        ({"teacher_share": 1.1}, "teacher_share is 1.1, but must be from 0 to 1"),
        ({"warmup": -0.1}, "warmup is -0.1, but must be from 0 to 1"),
        ({"feature_weight": -0.1}, "feature_weight is -0.1, but must be >= 0"),
        ({"ema": 1.001}, "ema is 1.001, but must be from 0 to 1"),
        ({"teacher_loss": "l2"}, "teacher_loss is 'l2', but must be one of l1, charbonnier, multilap"),
    ],
)
def test_recipes_are_checked(fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        Recipe(**fields)


def test_the_learning_rate_warms_up_and_falls_as_a_cosine() -> None:
    recipe = Recipe(steps=100, learning_rate=1e-3, warmup=0.1)
    rates = [recipe.learning_rate_at(step) for step in range(100)]
    assert rates[:10] == pytest.approx([1e-4 * (step + 1) for step in range(10)])
    assert rates[10] == pytest.approx(1e-3)
    assert rates[55] == pytest.approx(0.5e-3)  # half way
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[99] < 1e-6
    for steps in (1, 2, 3):
        short = Recipe(steps=steps).of_student(50_000)
        assert all(0 < short.learning_rate_at(step) < 1 for step in range(steps))
    assert Recipe(steps=5, warmup=1.0, learning_rate=3e-3).learning_rate_at(4) == pytest.approx(3e-3)


def test_without_a_learning_rate_it_follows_from_the_size() -> None:
    rates = [Recipe().of_student(params).learning_rate for params in (500, 12_500, 50_000, 200_000)]
    assert rates == pytest.approx([1.6e-2, 8e-3, 4e-3, 2e-3])
    assert Recipe(optimizer="adam").of_student(50_000).learning_rate == pytest.approx(2e-3)
    assert Recipe(learning_rate=1e-5).of_student(12_500).learning_rate == 1e-5


def test_the_moving_average_grows_slow_with_the_steps() -> None:
    recipe = Recipe(ema=0.9)
    assert recipe.ema_at(0) == 0.1
    assert recipe.ema_at(50) == pytest.approx(51 / 60)
    assert recipe.ema_at(10**6) == 0.9


# --- training ---


@pytest.fixture(scope="module")
def bank(photos: Path) -> PixelBank:
    return PixelBank.open(open_folder(photos, 2, min_size=48))


@pytest.fixture(scope="module")
def targets(bank: PixelBank, tiny_teacher: EDSR) -> Tensor:
    return teacher_targets(tiny_teacher, bank, Precision())


@pytest.fixture
def student() -> EDSR:
    torch.manual_seed(1)
    return EDSRFamily().build(EDSRConfig(2, 4, 1)).eval()


@pytest.fixture
def start(bank: PixelBank, targets: Tensor, student: EDSR) -> Callable[..., Training]:
    """A training of the student by a small recipe with these changes."""

    def make(**fields: Any) -> Training:
        recipe = Recipe(**{**SMALL, **fields})
        sampler = PatchSampler(
            bank,
            patch_size=recipe.patch_size,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            targets={"teacher": targets},
        )
        return Training(student, sampler, recipe, Precision())

    return make


def weights(training: Training) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in training.student.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@dataclass
class OneBatch:
    """The same patches again and again."""

    batch: Batch

    def sample(self) -> Batch:
        return self.batch


def one_batch(student: EDSR, hr: Tensor, teacher: Tensor, **fields: Any) -> Training:
    recipe = Recipe(**{**SMALL, **fields})
    lr = torch.nn.functional.avg_pool2d(hr, 2)
    return Training(student, OneBatch(Batch(lr, {"hr": hr, "teacher": teacher})), recipe, Precision())  # type: ignore[arg-type]


def test_the_student_that_is_given_stays_as_it_is(start: Callable[..., Training], student: EDSR) -> None:
    before = copy.deepcopy(student.state_dict())
    training = start()
    training.run_to(3)
    assert same(dict(student.state_dict()), before)
    assert not same(weights(training), before)
    assert not training.student.training


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_the_first_update_of_adam(student: EDSR, warmup: float) -> None:
    """Adam first moves each weight by the learning rate, which is low in a warm-up; the average follows it."""
    hr = torch.rand(2, 3, 48, 48)
    training = one_batch(student, hr, hr, optimizer="adam", learning_rate=1e-4, warmup=warmup)
    before = weights(training)
    training.run_to(1)
    kept = training.recipe.ema_at(0)
    for key, value in weights(training).items():
        moved = (value - before[key]).abs()
        assert moved.max().item() == pytest.approx((1 - kept) * 1e-4 / (12 if warmup else 1), rel=0.05)


def test_gradients_are_clipped(student: EDSR) -> None:
    """Clipped to far below Adam's epsilon, they hardly move a weight."""
    hr = torch.rand(2, 3, 48, 48)
    training = one_batch(student, hr, hr, clip=1e-12)
    before = weights(training)
    training.run_to(3)
    assert max((value - before[key]).abs().max().item() for key, value in weights(training).items()) < 1e-6


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_says_whom_the_student_follows(student: EDSR, share: float) -> None:
    hr = torch.rand(2, 3, 48, 48)
    first = one_batch(student, hr, torch.zeros_like(hr), teacher_share=share)
    other = one_batch(student, hr, torch.ones_like(hr), teacher_share=share)
    for training in (first, other):
        training.run_to(5)
    assert same(weights(first), weights(other)) == (share == 0)

    moved = one_batch(student, hr.flip(3), torch.zeros_like(hr), teacher_share=share)
    moved._sampler.batch = Batch(first._sampler.batch.lr, moved._sampler.batch.targets)  # type: ignore[attr-defined]
    moved.run_to(5)
    assert same(weights(first), weights(moved)) == (share == 1)


def test_without_a_share_no_teacher_is_needed(student: EDSR) -> None:
    hr = torch.rand(2, 3, 48, 48)
    training = one_batch(student, hr, hr, teacher_share=0.0)
    del training._sampler.batch.targets["teacher"]  # type: ignore[attr-defined]
    training.run_to(2)


@pytest.mark.parametrize("loss", ["l1", "multilap"])
def test_training_brings_the_student_nearer(student: EDSR, tiny_teacher: EDSR, loss: str) -> None:
    torch.manual_seed(0)
    lr = torch.nn.functional.interpolate(torch.rand(2, 3, 6, 6), 24, mode="bicubic").clamp(0, 1)
    with torch.no_grad():
        wanted = tiny_teacher(lr)
    training = one_batch(student, wanted, wanted, teacher_loss=loss, teacher_share=1.0, steps=100, learning_rate=5e-3)
    training._sampler.batch = Batch(lr, training._sampler.batch.targets)  # type: ignore[attr-defined]

    def distance() -> float:
        with torch.no_grad():
            return float((training.student(lr) - wanted).abs().mean())

    before = distance()
    training.run_to(100)
    assert distance() < 0.5 * before


def test_the_same_seed_trains_the_same_and_another_does_not(start: Callable[..., Training]) -> None:
    ends = []
    for seed in (5, 5, 6):
        training = start(seed=seed)
        training.run_to(4)
        ends.append(weights(training))
    assert same(ends[0], ends[1])
    assert not same(ends[0], ends[2])


@pytest.mark.parametrize("stop", [1, 7])
def test_a_stop_in_the_middle_changes_nothing(start: Callable[..., Training], tmp_path: Path, stop: int) -> None:
    whole = start()
    whole.run_to(12)

    first = start()
    first.run_to(stop)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    rest = start()
    rest.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert rest.step == stop
    rest.run_to(12)
    assert same(weights(rest), weights(whole))
    assert same(dict(rest._student.state_dict()), dict(whole._student.state_dict()))


def test_training_leaves_a_state_as_it_was_given_or_taken(start: Callable[..., Training]) -> None:
    training = start()
    training.run_to(2)
    state = training.state_dict()
    training.run_to(5)
    for _ in range(2):
        rest = start()
        rest.load_state_dict(state)
        rest.run_to(5)
        assert same(weights(rest), weights(training))


def test_what_a_network_says_is_exact_is_float32_in_bf16(student: EDSR) -> None:
    """And the others are not; a forward hook sees both."""
    hr, formats = torch.rand(2, 3, 48, 48), dict[str, torch.dtype]()
    for name in ("conv_first", "conv_after_body"):
        layer = student.get_submodule(name)
        layer.register_forward_hook(lambda _, __, made, name=name: formats.update({name: made.dtype}))
    with mock.patch.object(EDSR, "exact", lambda self: [self.conv_first]):
        batch = Batch(torch.nn.functional.avg_pool2d(hr, 2), {"hr": hr, "teacher": hr})
        training = Training(student, OneBatch(batch), Recipe(**SMALL), Precision(dtype="bfloat16"))  # type: ignore[arg-type]
    training.run_to(1)
    assert formats == {"conv_first": torch.float32, "conv_after_body": torch.bfloat16}
    assert type(student.conv_first) is torch.nn.Conv2d


def test_on_step_hears_of_every_step(start: Callable[..., Training]) -> None:
    heard: list[int] = []
    training = start()
    training.run_to(3, heard.append)
    training.run_to(3, heard.append)
    training.run_to(5, heard.append)
    assert heard == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_training(student: EDSR, bad: float) -> None:
    hr = torch.rand(2, 3, 48, 48)
    teacher = hr.clone()
    teacher[0, 0, 0, 0] = bad
    training = one_batch(student, hr, teacher, steps=30, learning_rate=1.25e-3)
    with pytest.raises(TrainingDiverged, match=r"the loss is (nan|inf) after 10 steps at learning rate 0\.00125"):
        training.run_to(30)


def test_a_far_too_high_learning_rate_ends_the_training(start: Callable[..., Training]) -> None:
    with pytest.raises(TrainingDiverged, match="after 10 steps at learning rate 1e\\+38"):
        start(learning_rate=1e38).run_to(10)


# --- the teacher's outputs ---


def test_targets_are_the_teachers_outputs_in_eight_bits(bank: PixelBank, targets: Tensor, tiny_teacher: EDSR) -> None:
    assert targets.shape == bank.hr.shape
    assert targets.dtype == torch.uint8
    for index in range(len(bank)):
        with torch.inference_mode():
            sr = tiny_teacher(bank.lr_image(index).permute(2, 0, 1)[None].float() / 255)[0].clamp(0, 1) * 255
        start = int(bank.offsets[index]) * 4
        stored = targets[start : start + sr[0].numel()].view(*sr.shape[1:], 3).permute(2, 0, 1)
        assert (stored.float() - sr).abs().max() <= 0.51


def test_targets_of_a_large_image_have_no_seams(tmp_path: Path, tiny_teacher: EDSR) -> None:
    write_waves(tmp_path / "wide.png", 60, 1300, seed=0)
    bank = PixelBank.open(open_folder(tmp_path, 2, min_size=48))
    stored = teacher_targets(tiny_teacher, bank, Precision()).view(60, 1300, 3)
    with torch.inference_mode():
        sr = tiny_teacher(bank.lr_image(0).permute(2, 0, 1)[None].float() / 255)[0].clamp(0, 1) * 255
    assert (stored.permute(2, 0, 1).float() - sr).abs().max() <= 0.51


def test_targets_of_another_teacher_are_others(bank: PixelBank, targets: Tensor, tiny_teacher: EDSR) -> None:
    other = copy.deepcopy(tiny_teacher)
    with torch.no_grad():
        other.conv_last.bias += 5
    assert not torch.equal(teacher_targets(other, bank, Precision()), targets)
    again = teacher_targets(copy.deepcopy(tiny_teacher), bank, Precision())
    assert torch.equal(again, targets)


def test_targets_leave_the_teacher_as_it_is(bank: PixelBank, tiny_teacher: EDSR) -> None:
    teacher = copy.deepcopy(tiny_teacher)
    before = copy.deepcopy(teacher.state_dict())
    teacher_targets(teacher, bank, Precision(dtype="float32", channels_last=True))
    assert same(dict(teacher.state_dict()), dict(before))
    assert all(parameter.grad is None for parameter in teacher.parameters())
