"""Students of networks that the package has no line about."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from helpers.attention import ChannelAttention, TokenAttention
from helpers.plain_networks import ECBSR, ETDS, PlainUSR, PlainUSRTiny
from helpers.sr_networks import IMDN, RLFN, SMFANet, conv
from torch import Tensor, nn

from autocompress.errors import ConfigError
from autocompress.shrink.engine import Projection
from autocompress.shrink.graph import Graph
from autocompress.shrink.observation import Teacher, observe

Build = Callable[..., nn.Module]
NETWORKS: dict[str, tuple[Build, tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = {
    # the teacher's arguments, those of a narrower student, and of one with fewer blocks
    "RLFN": (RLFN, (12, 2, 6, 3), (8, 2, 4, 3), (12, 2, 6, 2)),
    "IMDN": (IMDN, (32, 3, 2), (16, 3, 2), (32, 2, 2)),
    "SMFANet": (SMFANet, (12, 3, 2.0, 2), (8, 3, 2.0, 2), (12, 2, 2.0, 2)),
    "PlainUSR": (PlainUSR, (16, 12, 8, 4), (12, 8, 6, 4), (16, 12, 4, 4)),
    "PlainUSRTiny": (PlainUSRTiny, (16, 8), (12, 6), (16, 4)),
    "ECBSR": (ECBSR, (16, 3), (12, 3), (16, 2)),
    "ETDS": (ETDS, (16, 3), (12, 3), (16, 2)),
}
LONG = ("IMDN", "SMFANet", "PlainUSR", "PlainUSRTiny", "ETDS")
EACH = [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in NETWORKS]


def images(count: int = 6, side: int = 32) -> Tensor:
    """Smooth ones, (count, 3, side, side)."""
    generator = torch.Generator().manual_seed(0)
    return F.interpolate(torch.rand(count, 3, 8, 8, generator=generator), size=(side, side), mode="bicubic").clamp(0, 1)


def projection(teacher: nn.Module, lr: Tensor) -> Projection:
    captured = Teacher(Graph.capture(teacher, lr[:1]))
    return Projection(captured, lr, observe(captured, lr, 0))


@functools.cache
def analysed(name: str) -> tuple[Teacher, dict[str, Tensor]]:
    """The teacher that `made` makes, captured, and what is seen of it on `images`."""
    captured = Teacher(Graph.capture(made(name), images()[:1]))
    return captured, observe(captured, images(), 0)


def small_projection(name: str, refit: bool = True) -> Projection:
    """Of that teacher, on these images."""
    captured, analysis = analysed(name)
    return Projection(captured, images(), analysis, refit)


def made(name: str) -> nn.Module:
    """A teacher whose layers are not all alike."""
    build, arguments, _, _ = NETWORKS[name]
    torch.manual_seed(1)
    return build(*arguments).eval()


@torch.no_grad()
def error(student: nn.Module, teacher: nn.Module, lr: Tensor) -> float:
    """Mean square, relative to the variance of what the teacher makes."""
    wanted = teacher(lr)
    return float(F.mse_loss(student(lr), wanted) / wanted.var())


@pytest.mark.parametrize("name", EACH)
def test_the_full_size_computes_what_the_teacher_does(name: str) -> None:
    teacher, lr = made(name), images()
    student = NETWORKS[name][0](*NETWORKS[name][1]).eval()
    small_projection(name)(student)
    with torch.no_grad():
        assert (student(lr) - teacher(lr)).abs().max() < 1e-4


@pytest.mark.parametrize("name", EACH)
def test_smaller_students_compute_nearly_what_the_teacher_does(name: str) -> None:
    build, _, narrow, shallow = NETWORKS[name]
    teacher, lr = made(name), images()
    project = small_projection(name)
    for arguments in (narrow, shallow):
        torch.manual_seed(2)
        student = build(*arguments).eval()
        untrained = error(student, teacher, lr)
        project(student)
        assert error(student, teacher, lr) < min(0.25, untrained / 4)


@torch.no_grad()
def test_an_axis_grows_where_another_shrinks() -> None:
    """With fewer channels in PlainUSR's middle block more pass by: copies, read by nothing before they are trained."""
    lr = images(2, 16)
    captured = Teacher(Graph.capture(made("PlainUSR"), lr[:1]))
    student = PlainUSR(16, 12, 4, 4).eval()
    Projection(captured, lr, observe(captured, lr, 0), refit=False)(student)
    written = student.block2.body[2].weight
    assert torch.equal(written[4:8], written[8:12])
    read = student.block3.body[0].weight.square().sum((0, 2, 3))
    assert (read[4:8] > 0).all()
    assert (read[8:12] == 0).all()


def test_the_same_student_every_time_and_the_teacher_as_it_was() -> None:
    teacher, lr = made("RLFN"), images()
    before = copy.deepcopy(teacher.state_dict())
    students = [NETWORKS["RLFN"][0](*NETWORKS["RLFN"][2]).eval() for _ in range(2)]
    for project, student in zip((projection(teacher, lr), small_projection("RLFN")), students, strict=True):
        project(student)
    first, second = (student.state_dict() for student in students)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(torch.equal(before[key], value) for key, value in teacher.state_dict().items())


def test_students_are_right_up_to_the_edge() -> None:
    teacher, lr = made("RLFN"), images()
    student = NETWORKS["RLFN"][0](*NETWORKS["RLFN"][2]).eval()
    small_projection("RLFN")(student)
    with torch.no_grad():
        wanted = teacher(lr)
        square = (student(lr) - wanted).square().mean((0, 1))
    rings = (square[:2], square[-2:], square[:, :2], square[:, -2:])
    edge = torch.cat([ring.flatten() for ring in rings]).mean() / wanted.var()
    assert edge < 0.01  # 0.29 where layers are fitted to the inside alone


@pytest.mark.parametrize(
    ("student", "message"),
    [
        (RLFN(16, 2, 6, 3), "16 channels where its teacher has 12"),
        (IMDN(16, 1, 2), "another kind of network"),
    ],
)
def test_what_is_no_smaller_network_of_the_kind_is_refused(student: nn.Module, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small_projection("RLFN")(student)


def test_refitted_students_are_nearer_to_the_teacher_than_copied_channels() -> None:
    teacher, lr = made("RLFN"), images()
    errors = {}
    for refit in (True, False):
        student = NETWORKS["RLFN"][0](*NETWORKS["RLFN"][2]).eval()
        small_projection("RLFN", refit)(student)
        errors[refit] = error(student, teacher, lr)
    assert errors[True] < errors[False] / 4
    copied = student.state_dict()["conv_1.weight"]
    rows = teacher.state_dict()["conv_1.weight"]
    assert all(any(torch.equal(row, other) for other in rows) for row in copied)


@pytest.mark.parametrize("by_einsum", [pytest.param(False, marks=pytest.mark.slow), True])
def test_attention_over_channels_shrinks(by_einsum: bool) -> None:
    torch.manual_seed(1)
    teacher, lr = ChannelAttention(by_einsum=by_einsum).eval(), images()
    project = projection(teacher, lr)
    whole = ChannelAttention(by_einsum=by_einsum).eval()
    project(whole)
    with torch.no_grad():
        assert (whole(lr) - teacher(lr)).abs().max() < 1e-4
    student = ChannelAttention(each=3, by_einsum=by_einsum).eval()
    project(student)
    assert error(student, teacher, lr) < 0.01


@torch.no_grad()
def test_a_student_of_one_channel() -> None:
    class Scaled(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.first, self.last = nn.Conv2d(3, width, 1), nn.Conv2d(width, 12, 1)
            self.norm, self.scale = nn.BatchNorm2d(width), nn.Parameter(torch.ones(1, width, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            return F.pixel_shuffle(self.last(self.scale * self.norm(self.first(x))), 2)

    torch.manual_seed(1)
    teacher, lr = Scaled(3).eval(), images()
    student, untrained = Scaled(1).eval(), Scaled(1).eval()
    projection(teacher, lr)(student)
    assert error(student, teacher, lr) < error(untrained, teacher, lr) / 2


def test_learned_tokens_shrink_with_the_channels_that_they_meet() -> None:
    torch.manual_seed(1)
    teacher, lr = TokenAttention().eval(), images()
    project = projection(teacher, lr)
    whole, student = TokenAttention().eval(), TokenAttention(6).eval()
    project(whole)
    project(student)
    with torch.no_grad():
        assert (whole(lr) - teacher(lr)).abs().max() < 1e-4
    assert error(student, teacher, lr) < 0.01


def test_a_transposed_convolution_on_each_channel_alone_shrinks() -> None:
    class Up(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.first, self.last = conv(3, width), conv(width, 3)
            self.up = nn.ConvTranspose2d(width, width, 4, stride=2, padding=1, groups=width)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(F.relu(self.up(self.first(x))))

    torch.manual_seed(1)
    teacher, lr = Up(8).eval(), images()
    project = projection(teacher, lr)
    whole, student, copied = Up(8).eval(), Up(6).eval(), Up(6).eval()
    project(whole)
    project(student)
    with torch.no_grad():
        assert (whole(lr) - teacher(lr)).abs().max() < 1e-4
    assert error(student, teacher, lr) < error(copied, teacher, lr)


class Normed(nn.Module):
    """A stream that a LayerNorm reads, as in a transformer."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.last = conv(3, dim), conv(dim, 12)
        self.norm, self.up, self.down = nn.LayerNorm(dim), nn.Linear(dim, 24), nn.Linear(24, dim)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        rows = y.flatten(2).transpose(1, 2)
        rows = rows + self.down(F.gelu(self.up(self.norm(rows))))
        return F.pixel_shuffle(self.last(rows.transpose(1, 2).view(y.shape)), 2)


@torch.no_grad()
def turned(small: Normed, dim: int) -> Normed:
    """A network of `dim` channels that computes the same: a turn of its stream that takes the mean to the mean."""
    narrow = len(small.norm.weight)
    bases = []
    for size in (narrow, dim):
        basis, triangle = torch.linalg.qr(torch.cat([torch.ones(size, 1), torch.randn(size, narrow - 1)], 1))
        bases.append(basis * triangle[0, 0].sign())
    turn = bases[1] @ bases[0].T
    large = Normed(dim)
    large.first.weight.copy_(torch.einsum("on,nixy->oixy", turn, small.first.weight))
    large.first.bias.copy_(turn @ small.first.bias)
    large.up.weight.copy_(small.up.weight @ turn.T * (narrow / dim) ** 0.5)  # the same norm over more channels
    large.up.bias.copy_(small.up.bias)
    large.down.weight.copy_(turn @ small.down.weight)
    large.down.bias.copy_(turn @ small.down.bias)
    large.last.weight.copy_(torch.einsum("oixy,ni->onxy", small.last.weight, turn))
    large.last.bias.copy_(small.last.bias)
    return large.eval()


def test_a_stream_that_norms_read_is_mixed() -> None:
    """Whole channels of a turned stream lose most of it; the directions that are used, with their mean, nothing."""
    torch.manual_seed(0)
    small, lr = Normed(6).eval(), images()
    teacher, student = turned(small, 10), Normed(6).eval()
    assert error(small, teacher, lr) < 1e-6
    projection(teacher, lr)(student)
    assert error(student, teacher, images(8)) < 1e-3


def test_statistics_that_overflow_are_said() -> None:
    """A teacher that computes finite images from features whose squares are not."""
    teacher = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 3, 3, padding=1))
    with torch.no_grad():
        for layer, factor in zip(teacher, (1e25, 1e-25), strict=True):
            layer.weight.mul_(factor)
            layer.bias.mul_(factor)
    with pytest.raises(ConfigError, match="squares beyond what float32 holds"):
        projection(teacher, images(2, 8))
