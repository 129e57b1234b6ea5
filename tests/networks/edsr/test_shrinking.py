"""Shrinking EDSR: by projection, and by keeping whole channels and blocks."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from helpers.edsr_students import (
    Shrink,
    largest_difference,
    photo_patches,
    psnr_between,
    random_teacher,
    shrinker,
)

from autocompress import load, prune
from autocompress.errors import ConfigError
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.shrink.importance import taylor_importance
from autocompress.shrink.init import Init

SCALES = (2, 3, 4)
INITS = ("projection", "copy", "taylor")

SLOW = pytest.mark.slow  # at other scales, whose students differ in the upsampler alone, and from other starts


@cache  # what is seen of a teacher is the same for students of any size
def random_shrinker(scale: int, init: str) -> Shrink:
    """Of a random teacher, which it leaves as it is."""
    return shrinker(random_teacher(scale), photo_patches(4, 24), init)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize(
    ("num_feat", "num_block", "scale"),
    [
        pytest.param(*counts, scale, marks=[SLOW] * (scale != 2 if counts != (5, 2) else scale == 4))
        for counts in ((16, 4), (5, 2), (1, 1), (16, 1), (3, 4))
        for scale in SCALES
    ],
)
def test_students_have_exactly_the_shapes_of_their_config(init: str, scale: int, num_feat: int, num_block: int) -> None:
    config = EDSRConfig(scale, num_feat, num_block)
    student = random_shrinker(scale, init)(config)
    assert student.config == config
    assert not student.training
    EDSR(config).load_state_dict(student.state_dict(), strict=True)
    with torch.no_grad():
        sr = student(photo_patches(1, 24)[..., :13, :17])
    assert sr.shape == (1, 3, 13 * scale, 17 * scale)
    assert sr.isfinite().all()
    assert all(p.requires_grad and p.grad is None for p in student.parameters())


@pytest.mark.parametrize("init", ["projection", *(pytest.param(init, marks=SLOW) for init in ("copy", "taylor"))])
@pytest.mark.parametrize("num_layer", [1, 3])
def test_students_of_other_numbers_of_convolutions(init: str, num_layer: int) -> None:
    """One of three starts as the one of two does; one of one is still a good deal better than chance."""
    teacher, lr = random_teacher(2), photo_patches(4, 24)
    shrink = shrinker(teacher, lr, init)
    student = shrink(EDSRConfig(2, 6, 2, num_layer))
    EDSR(EDSRConfig(2, 6, 2, num_layer)).load_state_dict(student.state_dict(), strict=True)
    assert all(p.requires_grad and p.grad is None for p in student.parameters())
    unseen = photo_patches(2, 24, seed=1)
    if num_layer == 3:
        assert largest_difference(student, shrink(EDSRConfig(2, 6, 2)), unseen) < 1e-4
    elif init == "projection":
        copied = shrinker(teacher, lr, "copy")(student.config)
        assert psnr_between(student, teacher, unseen) > psnr_between(copied, teacher, unseen) + 3
    else:
        assert all(not parameter.any() for block in student.body for parameter in block.parameters())


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("scale", SCALES)
def test_a_folded_tail_computes_what_the_teachers_does_inside(init: str, scale: int) -> None:
    """At the full size. Projection fits the outermost pixels, too, as well as zeros around the features allow."""
    teacher = random_teacher(scale)
    student = random_shrinker(scale, init)(replace(teacher.config, tail="folded"))
    EDSR(EDSRConfig(scale, 16, 4, tail="folded")).load_state_dict(student.state_dict(), strict=True)
    lr = photo_patches(2, 31, seed=1)
    with torch.no_grad():
        apart = (student(lr) - teacher(lr)).abs()
    ring = 3 if scale == 4 else 1
    tolerance = 1e-4 if init != "projection" else 0.02  # the border pulls a little
    assert apart[..., ring:-ring, ring:-ring].max() < tolerance
    assert apart.max() > 10 * apart[..., ring:-ring, ring:-ring].mean()


@pytest.mark.parametrize("init", INITS)
def test_a_teacher_with_a_folded_tail_is_not_shrunk(init: str) -> None:
    teacher, lr = EDSR(EDSRConfig(2, 6, 2, tail="folded")), photo_patches(2, 24)
    with pytest.raises(ConfigError, match="has a folded tail, but only teachers with a plain one can be shrunk"):
        prune.shrinker(teacher, lr, init)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("num_layer", [1, 3])
def test_only_teachers_of_two_convolutions_per_block_are_shrunk(init: str, num_layer: int) -> None:
    teacher, lr = EDSR(EDSRConfig(2, 6, 2, num_layer)), photo_patches(2, 24)
    for cached in (False, True):
        with pytest.raises(ConfigError, match=f"has num_layer {num_layer}, but only teachers with 2 convolutions per"):
            prune.shrinker(teacher, lr, init, cached=cached)
    assert prune.shrinker(teacher, lr, "scratch")(EDSRConfig(2, 4, 1, num_layer)).config.num_feat == 4  # type: ignore[attr-defined]


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("scale", SCALES)
def test_the_full_size_computes_what_the_teacher_does(init: str, scale: int) -> None:
    teacher = random_teacher(scale)
    student = random_shrinker(scale, init)(teacher.config)
    assert largest_difference(student, teacher, photo_patches(2, 31, seed=1)) < 1e-3


@pytest.mark.parametrize(
    ("init", "file"),
    [
        pytest.param(init, file, marks=[SLOW] * (init != "projection" and "res" not in file))
        for init in INITS
        for file in ("edsr_x2_f16_b4.pt", "edsr_x3_f8_b2.pt", "edsr_x4_f16_b3_res0.1.pt")
    ],
)
def test_the_full_size_of_a_foreign_teacher_folds_its_res_scale(init: str, file: str, shared: Path) -> None:
    golden = torch.load(shared / "golden" / file, weights_only=True)
    teacher = load(shared / "golden" / file, res_scale=golden["res_scale"])
    family = EDSRFamily()
    full_size = family.student_config(teacher.config, {})
    student = shrinker(teacher, photo_patches(4, 24), init)(full_size)
    with torch.no_grad():
        assert (student(golden["x"]) - golden["y"]).abs().max() < 1e-3
    assert isinstance(student.config, EDSRConfig)
    assert student.config.res_scale == 1


@pytest.mark.parametrize("init", ["projection", *(pytest.param(init, marks=SLOW) for init in ("copy", "taylor"))])
def test_the_same_seed_gives_the_same_student(init: str) -> None:
    teacher, lr, config = random_teacher(2), photo_patches(4, 24), EDSRConfig(2, 6, 2)
    first = shrinker(teacher, lr, init, seed=3)
    weights = first(config).state_dict()
    first(EDSRConfig(2, 3, 1))  # what was made before leaves no trace
    for again in (first(config), shrinker(teacher, lr, init, seed=3)(config)):
        assert all(torch.equal(value, weights[key]) for key, value in again.state_dict().items())


@pytest.mark.parametrize("config", [EDSRConfig(2, 6, 2), EDSRConfig(2, 6, 2, 1, tail="folded")], ids=str)
def test_the_making_says_how_far_it_is(config: EDSRConfig) -> None:
    teacher, lr, told = random_teacher(2), photo_patches(4, 24), list[float]()
    prune.shrinker(teacher, lr)(config, lambda done, total: told.append(done / total))
    assert len(told) > 10
    assert 0 < told[0] < 0.2
    assert told == sorted(told)
    assert told[-1] == 1


def test_the_global_generator_does_not_decide() -> None:
    teacher, lr, config = random_teacher(2), photo_patches(4, 24), EDSRConfig(2, 6, 2)
    students = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            students.append(shrinker(teacher, lr, "projection")(config))
    assert largest_difference(students[0], students[1], lr) == 0


@cache
def nearness(scale: int) -> tuple[EDSR, Shrink, Shrink]:
    """A random teacher, and what makes its students by projection, and by copying; both go by one analysis."""
    teacher, lr, family = random_teacher(scale), photo_patches(6, 24), EDSRFamily()
    analysis = family.analyse(teacher, lr, "projection", 0)
    project, copy = (family.shrinker(teacher, lr, init, analysis) for init in ("projection", "copy"))
    return teacher, project, copy


@pytest.mark.parametrize(
    ("num_feat", "num_block", "scale"),
    [
        pytest.param(*counts, scale, marks=[SLOW] * (scale != 2 or counts not in ((6, 2), (8, 4))))
        for counts in ((12, 3), (6, 2), (16, 2), (8, 4))
        for scale in SCALES
    ],
)
def test_projection_is_nearer_to_the_teacher_than_copied_channels(scale: int, num_feat: int, num_block: int) -> None:
    (teacher, project, copy), unseen = nearness(scale), photo_patches(4, 24, seed=1)
    config = EDSRConfig(scale, num_feat, num_block)
    projected, copied = project(config), copy(config)
    assert psnr_between(projected, teacher, unseen) > psnr_between(copied, teacher, unseen) + 3


@pytest.mark.parametrize("init", INITS)
def test_the_teacher_is_left_as_it_is(init: str) -> None:
    teacher = random_teacher(2)
    teacher.conv_last.bias.requires_grad_(False)
    teacher.train()
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    lr = photo_patches(4, 24)
    patches = lr.clone()
    shrinker(teacher, lr, init)(EDSRConfig(2, 6, 2)).conv_first.weight.data.zero_()
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())
    assert [key for key, p in teacher.named_parameters() if not p.requires_grad] == ["conv_last.bias"]
    assert all(p.grad is None for p in teacher.parameters())
    assert all(module.training for module in teacher.modules())
    assert torch.equal(lr, patches)
    assert not lr.requires_grad


@pytest.mark.parametrize("init", INITS)
def test_shrinking_works_where_gradients_are_off(init: str) -> None:
    with torch.no_grad():
        student = shrinker(random_teacher(2), photo_patches(4, 24), init)(EDSRConfig(2, 6, 2))
    assert student.config.num_feat == 6


def test_copied_channels_keep_what_is_used() -> None:
    """Of a teacher with idle channels and one idle block, the working part is found, whatever its place."""
    small, teacher = random_teacher(4, num_feat=4, num_block=2), random_teacher(4, num_feat=7, num_block=3)
    places, sub_pixels = torch.tensor([1, 3, 4, 6]), torch.arange(4)
    pixel_places = (places[:, None] * 4 + sub_pixels).flatten()
    rgb = torch.arange(3)
    into = {"conv_first": (places, rgb), "conv_last": (rgb, places)}
    into |= {f"upsample.{stage}": (pixel_places, places) for stage in (0, 2)}
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.zero_()
        for name, module in small.named_modules():
            if not isinstance(module, torch.nn.Conv2d):
                continue
            outputs, inputs = into.get(name, (places, places))
            target = teacher.get_submodule(name.replace("body.1", "body.2"))
            target.weight[outputs[:, None], inputs] = module.weight
            target.bias[outputs] = module.bias
    lr = photo_patches(4, 24)
    for init in ("copy", "taylor"):
        assert largest_difference(shrinker(teacher, lr, init)(small.config), small, lr) < 1e-5
        assert EDSRFamily().analyse(teacher, lr, init, 0)["parts.body."][1, 1] == 0


def test_taylor_scores_are_squares_of_weight_times_gradient() -> None:
    teacher = random_teacher(3, num_feat=4, num_block=1)
    lr = photo_patches(2, 25)  # not a multiple of 3: the last row and column are left out
    scores = taylor_importance(teacher, 3, lr)
    truth = lr[..., :24, :24]
    small = F.interpolate(truth, scale_factor=1 / 3, mode="bicubic", antialias=True).clamp(0, 1)
    loss = (teacher(small) - truth).abs().mean()
    weight = teacher.body[0].conv1.weight
    (gradient,) = torch.autograd.grad(loss, [weight])
    torch.testing.assert_close(scores["body.0.conv1.weight"], (weight * gradient).square().detach())


def test_prune_offers_every_init(tiny_teacher: EDSR) -> None:
    config = EDSRConfig(2, 4, 1)
    for init in Init:
        importance = {name: weight.abs() for name, weight in tiny_teacher.state_dict().items()}
        guide = importance if init == "density" else None
        student = prune.shrinker(tiny_teacher, photo_patches(4, 24), init, importance=guide)(config)
        assert student.config == config
        assert not student.training


def test_a_cached_analysis_makes_the_same_students(tiny_teacher: EDSR, monkeypatch: pytest.MonkeyPatch) -> None:
    config, lr = EDSRConfig(2, 4, 1), photo_patches(4, 24)
    plain = prune.shrinker(tiny_teacher, lr)(config).state_dict()
    first = prune.shrinker(tiny_teacher, lr, cached=True)(config).state_dict()
    monkeypatch.setattr(EDSRFamily, "analyse", lambda *_: pytest.fail("analysed again"))
    again = prune.shrinker(tiny_teacher, lr, cached=True)(config).state_dict()
    for found in (first, again):
        assert all(torch.equal(value, plain[key]) for key, value in found.items())
    with pytest.raises(pytest.fail.Exception, match="analysed again"):
        prune.shrinker(tiny_teacher, lr, seed=1, cached=True)
