"""Shrinking SwinIR by projection."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.swinir_networks import random_swinir as network
from torch import Tensor

from autocompress import prune
from autocompress.data.bicubic import upscale
from autocompress.data.embedded import embedded
from autocompress.data.sources import ImagePair
from autocompress.evaluation.metrics import psnr_y
from autocompress.networks.swinir import SwinIRFamily
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig
from autocompress.networks.teachers import load_teacher
from autocompress.networks.weights import digest
from autocompress.shrink.least_squares import refit_linear
from autocompress.shrink.subspaces import normed_subspace

FAMILY = SwinIRFamily()
TINY = SwinIRConfig(2, 12, (1, 2), (2, 3), window_size=4)
MINI = SwinIRConfig(2, 24, (4, 4, 4), (6, 6, 6))

Shrink = Callable[[SwinIRConfig], SwinIR]
SLOW = pytest.mark.slow


def as_tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def photo_patches(count: int, size: int, seed: int = 0) -> Tensor:
    """LR patches (count, 3, size, size) of embedded training photographs."""
    random = np.random.default_rng(seed)
    photos = [embedded("train", 2).read(index).lr for index in (5, 7)]
    patches = []
    for index in range(count):
        image = photos[index % 2]
        y, x = random.integers(image.shape[0] - size + 1), random.integers(image.shape[1] - size + 1)
        patches.append(as_tensor(image[y : y + size, x : x + size]))
    return torch.cat(patches)


def shrinker(teacher: SwinIR, lr: Tensor, init: str = "projection", seed: int = 0) -> Shrink:
    return FAMILY.shrinker(teacher, lr, init, FAMILY.analyse(teacher, lr, init, seed))


@torch.no_grad()
def largest_difference(a: SwinIR, b: SwinIR, lr: Tensor) -> float:
    return float((a(lr) - b(lr)).abs().max())


@torch.no_grad()
def psnr_between(a: SwinIR, b: SwinIR, lr: Tensor) -> float:
    return float(-10 * (a(lr) - b(lr)).square().mean().log10())


@torch.no_grad()
def psnr_on(made: SwinIR, pair: ImagePair) -> float:
    sr = made(as_tensor(pair.lr)).clamp(0, 1)[0].permute(1, 2, 0)
    return psnr_y((sr * 255).round().to(torch.uint8).numpy(), pair.hr, made.scale)


@functools.cache  # what is seen of a teacher is the same for students of any size, and takes most of the time
def small_projection(upsampler: str) -> tuple[SwinIR, Shrink]:
    """A small teacher, and what makes its students."""
    teacher = network(SwinIRConfig(2, 12, (2, 2), (2, 2), 4, upsampler=upsampler))
    return teacher, shrinker(teacher, photo_patches(2, 16))


@pytest.fixture(scope="module")
def nearness() -> tuple[SwinIR, Shrink, Shrink]:
    """A small teacher, and what makes its students by projection, and by copying; both go by one analysis."""
    teacher, lr = network(SwinIRConfig(2, 12, (2, 2), (2, 2), 4)), photo_patches(4, 24)
    analysis = FAMILY.analyse(teacher, lr, "projection", 0)
    project, copy = (FAMILY.shrinker(teacher, lr, init, analysis) for init in ("projection", "copy"))
    return teacher, project, copy


@pytest.fixture(scope="module")
def real_teacher() -> SwinIR:
    """The shipped SwinIR-S x2."""
    made = load_teacher("swinir-s-x2")
    assert isinstance(made, SwinIR)
    return made


@pytest.fixture(scope="module")
def real_students(real_teacher: SwinIR) -> dict[str, Shrink]:
    """What makes students of that teacher by projection, and by copying; both go by one analysis.

    Students of the same config are one network, which no test changes.
    """
    lr = photo_patches(3, 24)
    analysis = FAMILY.analyse(real_teacher, lr, "projection", 0)
    return {init: functools.cache(FAMILY.shrinker(real_teacher, lr, init, analysis)) for init in ("projection", "copy")}


@pytest.fixture(scope="module")
def real_projection(real_students: dict[str, Shrink]) -> Shrink:
    return real_students["projection"]


@pytest.fixture(scope="module")
def held_out() -> ImagePair:
    """A piece of a validation photograph, rich in detail."""
    pair = embedded("valid", 2).read(2)
    return ImagePair(pair.name, pair.lr[20:84, 60:140].copy(), pair.hr[40:168, 120:280].copy())


# --- what it is made of ---


def test_a_normed_subspace_keeps_the_mean_of_the_channels() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(400, 10, generator=generator) @ torch.randn(10, 10, generator=generator)
    moment = (rows.T @ rows).double() / len(rows)
    for size in (1, 4, 9, 10):
        space = normed_subspace(moment, torch.eye(10).double(), size, 0.5)
        reduced = rows @ space.encoder.T
        torch.testing.assert_close(reduced.mean(1) * size**0.5, rows.mean(1) * 10**0.5, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(space.encoder @ space.decoder, torch.eye(size), atol=1e-4, rtol=0)
    torch.testing.assert_close(reduced.var(1), rows.var(1), atol=1e-3, rtol=1e-3)  # all of it: as a norm sees it


def test_a_linear_layer_is_refitted_to_what_is_exact() -> None:
    rows, weight, bias = torch.randn(200, 5), torch.randn(3, 5), torch.randn(3)
    fitted = refit_linear(torch.zeros(3, 5), torch.zeros(3), rows, rows @ weight.T + bias)
    for found, wanted in zip(fitted, (weight, bias), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-3, rtol=0)


# --- students ---

STUDENTS: list[dict[str, Any]] = [
    {"embed_dim": 6, "num_heads": 2},  # heads half as wide
    {"embed_dim": 1, "num_block": 1, "depth": 1, "num_heads": 1, "mlp_ratio": 1},
]
MORE_STUDENTS: list[dict[str, Any]] = [
    {"embed_dim": 8, "num_heads": 1},  # fewer heads, but wider
    {"mlp_ratio": 1.25},
    {"num_heads": 1},
    {"mlp_ratio": 1},
    {"depth": 1},
    {"num_block": 1},
    {"embed_dim": 2, "num_heads": 2},
]


@pytest.mark.parametrize(
    ("scale", "upsampler"),
    [
        (4, "pixelshuffle"),  # of two stages
        pytest.param(2, "pixelshuffledirect", marks=SLOW),
        pytest.param(2, "pixelshuffle", marks=SLOW),
        pytest.param(3, "pixelshuffle", marks=SLOW),
        pytest.param(3, "pixelshuffledirect", marks=SLOW),
        pytest.param(4, "pixelshuffledirect", marks=SLOW),
    ],
)
def test_the_full_size_computes_what_the_teacher_does(scale: int, upsampler: str) -> None:
    teacher = network(SwinIRConfig(scale, 12, (1, 2), (2, 3), 4, upsampler=upsampler), seed=scale)
    student = shrinker(teacher, photo_patches(3, 21))(teacher.config)  # padded to whole windows
    assert student is not teacher
    lr = photo_patches(2, 27, seed=1)
    with torch.no_grad():
        torch.testing.assert_close(student(lr), teacher(lr), atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_the_full_size_of_the_real_teacher_computes_what_it_does(real_teacher: SwinIR, real_projection: Shrink) -> None:
    student = real_projection(real_teacher.config)
    assert largest_difference(student, real_teacher, photo_patches(1, 24, seed=1)) < 1e-4


@pytest.mark.parametrize("fields", [*STUDENTS, *(pytest.param(fields, marks=SLOW) for fields in MORE_STUDENTS)])
def test_students_have_the_shapes_of_their_config(fields: dict[str, Any]) -> None:
    check_shapes("pixelshuffledirect", fields)


@pytest.mark.slow
@pytest.mark.parametrize("fields", [*STUDENTS, *MORE_STUDENTS])
def test_so_have_those_with_another_tail(fields: dict[str, Any]) -> None:
    """Which only the width of the embedding reaches."""
    check_shapes("pixelshuffle", fields)


def check_shapes(upsampler: str, fields: dict[str, Any]) -> None:
    teacher, shrink = small_projection(upsampler)
    config = FAMILY.student_config(teacher.config, fields)
    assert isinstance(config, SwinIRConfig)
    student = shrink(config)
    assert student.config == config
    assert not student.training
    SwinIR(config).load_state_dict(student.state_dict(), strict=True)
    with torch.no_grad():
        assert student(photo_patches(1, 16)[..., :9, :5]).isfinite().all()
    assert all(p.requires_grad and p.grad is None for p in student.parameters())


@pytest.mark.parametrize(
    "fields",
    [
        {"embed_dim": 8, "num_heads": 2},
        {"depth": 1},
        *(
            pytest.param(fields, marks=SLOW)
            for fields in ({"embed_dim": 10, "num_heads": 1}, {"num_heads": 1}, {"mlp_ratio": 1}, {"num_block": 1})
        ),
    ],
)
def test_projection_is_nearer_to_the_teacher_than_copied_channels(
    fields: dict[str, Any], nearness: tuple[SwinIR, Shrink, Shrink]
) -> None:
    teacher, project, copy = nearness
    unseen = photo_patches(3, 24, seed=1)
    config = FAMILY.student_config(teacher.config, fields)
    assert isinstance(config, SwinIRConfig)
    projected, copied = project(config), copy(config)
    assert psnr_between(projected, teacher, unseen) > psnr_between(copied, teacher, unseen) + 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        MINI,
        SwinIRConfig(2, 12, (1,), (3,)),
        SwinIRConfig(2, 12, (2, 2), (6, 6), mlp_ratio=1),
        SwinIRConfig(2, 36, (2,) * 4, (3,) * 4, mlp_ratio=1),
    ],
)
def test_students_of_the_real_teacher_start_above_bicubic(
    config: SwinIRConfig, real_projection: Shrink, held_out: ImagePair
) -> None:
    assert psnr_on(real_projection(config), held_out) > psnr_y(upscale(held_out.lr, 2), held_out.hr, 2)


@pytest.mark.slow
def test_projection_beats_copy_on_the_real_teacher(real_students: dict[str, Shrink], held_out: ImagePair) -> None:
    projected, copied = (psnr_on(real_students[init](MINI), held_out) for init in ("projection", "copy"))
    assert projected > copied + 3.5


@pytest.mark.slow
def test_students_of_the_real_teacher_have_no_seam_at_the_border(
    real_teacher: SwinIR, real_projection: Shrink, held_out: ImagePair
) -> None:
    """PSNR leaves the border out, so it does not see this; training does."""
    lr = as_tensor(held_out.lr)
    for config in (MINI, SwinIRConfig(2, 12, (5, 5), (3, 3))):
        with torch.no_grad():
            apart = (real_projection(config)(lr) - real_teacher(lr)).abs().mean((0, 1))
        inside = apart[8:-8, 8:-8].mean()
        for side in (apart[:2], apart[-2:], apart[:, :2], apart[:, -2:]):
            assert side.mean() < 4 * inside


# --- manners ---


@pytest.mark.slow
def test_the_same_seed_gives_the_same_student() -> None:
    teacher, lr, config = network(TINY), photo_patches(2, 16), SwinIRConfig(2, 6, (1, 1), (1, 1), 4)
    first = shrinker(teacher, lr, seed=3)
    expected = digest(first(config))
    first(SwinIRConfig(2, 4, (1,), (1,), 4))  # what was made before leaves no trace
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        assert digest(first(config)) == digest(shrinker(teacher, lr, seed=3)(config)) == expected


def test_the_teacher_is_left_as_it_is() -> None:
    teacher, lr = network(TINY), photo_patches(2, 16)
    teacher.conv_after_body.bias.requires_grad_(False)
    teacher.train()
    before, patches = digest(teacher), lr.clone()
    with torch.no_grad():  # where gradients are off, too
        shrinker(teacher, lr)(TINY).conv_first.weight.zero_()
    assert digest(teacher) == before
    assert [name for name, p in teacher.named_parameters() if not p.requires_grad] == ["conv_after_body.bias"]
    assert all(p.grad is None for p in teacher.parameters())
    assert all(module.training for module in teacher.modules())
    assert torch.equal(lr, patches)


def test_what_wider_heads_get_can_learn() -> None:
    teacher = network(SwinIRConfig(2, 12, (2,), (2,), 4))
    student = shrinker(teacher, photo_patches(2, 16))(SwinIRConfig(2, 12, (2,), (1,), 4))
    torch.autograd.backward(student(photo_patches(1, 8)).square().mean())
    attention = student.layers[0].residual_group.blocks[0].attn
    assert (attention.qkv.weight.grad.view(3, 12, 12)[0].abs().sum(1) > 0).all()
    assert (attention.proj.weight.grad.abs().sum(0) > 0).all()


@pytest.mark.slow
def test_a_cached_analysis_makes_the_same_students() -> None:
    teacher, lr, config = network(TINY), photo_patches(2, 16), SwinIRConfig(2, 6, (1,), (2,), 4)
    students = [prune.shrinker(teacher, lr, cached=cached)(config) for cached in (False, True, True)]
    assert len({digest(student) for student in students}) == 1
