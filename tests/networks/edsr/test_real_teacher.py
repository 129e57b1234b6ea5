"""Students of the shipped EDSR-baseline, whose analysis takes seconds; random teachers have the same rules, faster."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from helpers.edsr_students import (
    Shrink,
    as_tensor,
    largest_difference,
    photo_patches,
    photograph,
    psnr_on,
    shrinker,
)
from torch import Tensor

from autocompress.data.bicubic import upscale
from autocompress.data.sources import ImagePair
from autocompress.evaluation.metrics import psnr_y
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.forms import with_folded_tail
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.teachers import load_teacher

Analysis = tuple[Tensor, dict[str, Tensor]]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def real_teacher() -> EDSR:
    """The shipped EDSR-baseline x2."""
    network = load_teacher("edsr-baseline-x2")
    assert isinstance(network, EDSR)
    return network


@pytest.fixture(scope="module")
def real_analysis(real_teacher: EDSR) -> Analysis:
    """The images, and what is seen of that teacher on them."""
    lr = photo_patches(8, 32)
    return lr, EDSRFamily().analyse(real_teacher, lr, "projection", 0)


@pytest.fixture(scope="module")
def real_projection(real_teacher: EDSR, real_analysis: Analysis) -> Shrink:
    lr, analysis = real_analysis
    return EDSRFamily().shrinker(real_teacher, lr, "projection", analysis)


@pytest.fixture(scope="module")
def held_out() -> ImagePair:
    """A piece of a validation photograph, rich in detail."""
    pair = photograph("valid", 2)
    return ImagePair(pair.name, pair.lr[20:116, 60:188].copy(), pair.hr[40:232, 120:376].copy())


def test_projection_fits_a_folded_tail_to_the_border_too(real_teacher: EDSR, real_projection: Shrink) -> None:
    config = EDSRConfig(2, 24, 8, tail="folded")
    lr = photo_patches(4, 32, seed=1)
    student = real_projection(config)
    with torch.no_grad():
        plain = with_folded_tail(real_projection(replace(config, tail="plain")))
        target, found, alone = real_teacher(lr), student(lr), plain(lr)
    border = torch.ones_like(target, dtype=torch.bool)
    border[..., 1:-1, 1:-1] = False
    for where, most in ((border, 0.9), (~border, 1.01)):  # inside folding alone is exact, and few pixels are fitted
        assert F.mse_loss(found[where], target[where]) < most * F.mse_loss(alone[where], target[where])


def test_the_full_size_of_the_real_teacher_computes_what_it_does(
    real_teacher: EDSR, real_projection: Shrink, held_out: ImagePair
) -> None:
    student = real_projection(real_teacher.config)
    assert largest_difference(student, real_teacher, as_tensor(held_out.lr)) < 1e-3


@pytest.mark.parametrize(("num_feat", "num_block"), [(8, 1), (8, 16), (64, 1), (16, 8), (24, 4)])
def test_students_of_the_real_teacher_start_above_bicubic(
    num_feat: int, num_block: int, real_projection: Shrink, held_out: ImagePair
) -> None:
    bicubic = psnr_y(upscale(held_out.lr, 2), held_out.hr, 2)
    assert psnr_on(real_projection(EDSRConfig(2, num_feat, num_block)), held_out) > bicubic


@pytest.mark.parametrize("num_layer", [1, 3])
@pytest.mark.parametrize(("num_feat", "num_block"), [(8, 2), (16, 4)])
def test_so_do_those_of_other_numbers_of_convolutions(
    num_feat: int, num_block: int, num_layer: int, real_projection: Shrink, held_out: ImagePair
) -> None:
    bicubic = psnr_y(upscale(held_out.lr, 2), held_out.hr, 2)
    found, ordinary = (
        psnr_on(real_projection(EDSRConfig(2, num_feat, num_block, layers)), held_out) for layers in (num_layer, 2)
    )
    assert found > bicubic
    assert num_layer == 1 or found > ordinary - 0.01


def test_projection_beats_copy_and_taylor_on_the_real_teacher(
    real_teacher: EDSR, real_analysis: Analysis, real_projection: Shrink, held_out: ImagePair
) -> None:
    config, (lr, analysis) = EDSRConfig(2, 16, 8), real_analysis
    projected = psnr_on(real_projection(config), held_out)
    for shrink in (
        EDSRFamily().shrinker(real_teacher, lr, "copy", analysis),
        shrinker(real_teacher, photo_patches(4, 32), "taylor"),
    ):
        assert projected > psnr_on(shrink(config), held_out) + 5
