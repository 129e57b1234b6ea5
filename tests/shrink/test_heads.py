"""Whole heads of attention that go."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from helpers.attention import ChannelAttention, WindowAttention
from torch import Tensor, nn

from autocompress.shrink.engine import Projection
from autocompress.shrink.graph import Graph
from autocompress.shrink.heads import heads_of
from autocompress.shrink.observation import Teacher, observe

LR = F.interpolate(torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0)), size=(16, 16), mode="bicubic")


def made(dead: int | None = None) -> WindowAttention:
    """A teacher whose head `dead` adds nothing, with attention that matters."""
    torch.manual_seed(0)
    teacher = WindowAttention().eval()
    nn.init.normal_(teacher.qkv.weight, std=0.5)
    if dead is not None:
        nn.init.zeros_(teacher.proj.weight[:, 4 * dead : 4 * dead + 4].detach())
    return teacher


@torch.no_grad()
def shrunk(teacher: nn.Module, student: nn.Module) -> Tensor:
    """What the student makes of the images; it is projected first."""
    captured = Teacher(Graph.capture(teacher, LR[:1]))
    Projection(captured, LR, observe(captured, LR, 0))(student.eval())
    return student(LR)


def test_where_heads_are() -> None:
    (heads,) = heads_of(Graph.capture(made(), LR[:1]))
    assert heads.count == 3
    rows = {place: tuple(rows.shape) for place, rows in heads.rows.items()}
    expected = {("qkv.weight", 0): (3, 12), ("qkv.bias", 0): (3, 12), ("proj.weight", 1): (3, 4), ("table", 1): (3, 1)}
    assert rows == expected
    assert (
        heads.of_rows(("qkv.bias", 0)).tolist()
        == [0] * 4 + [1] * 4 + [2] * 4 + [0] * 4 + [1] * 4 + [2] * 4 + [0] * 4 + [1] * 4 + [2] * 4
    )


def test_heads_of_attention_over_channels() -> None:
    (heads,) = heads_of(Graph.capture(ChannelAttention().eval(), LR[:1]))
    assert heads.count == 2
    assert tuple(heads.rows["temperature", 0].shape) == (2, 1)


class Mixed(WindowAttention):
    """Its scores are mixed from head to head."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        rows = self.qkv(y.flatten(2).transpose(1, 2)).view(1, -1, 3, 3, 4).permute(2, 0, 3, 1, 4)
        scores = (rows[0] @ rows[1].transpose(-2, -1)).cumsum(1)
        mixed = (scores @ rows[2]).transpose(1, 2).reshape(1, -1, 12)
        y = y + self.proj(mixed).transpose(1, 2).view(y.shape)
        return F.pixel_shuffle(self.last(y), 2)


def test_heads_that_meet_stay() -> None:
    assert heads_of(Graph.capture(Mixed().eval(), LR[:1])) == ()


@pytest.mark.parametrize("constant", [1, *(pytest.param(constant, marks=pytest.mark.slow) for constant in (0, 2))])
def test_a_head_that_adds_a_constant_goes_without_a_trace(constant: int) -> None:
    """However large it is: a bias can add it."""
    teacher, values = made(), slice(24 + 4 * constant, 28 + 4 * constant)
    nn.init.zeros_(teacher.qkv.weight[values].detach())
    nn.init.constant_(teacher.qkv.bias[values].detach(), 20.0)
    difference = (shrunk(teacher, WindowAttention(heads=2, each=4)) - teacher(LR)).abs().max()
    assert difference < 1e-3


@pytest.mark.parametrize("dead", [1, *(pytest.param(dead, marks=pytest.mark.slow) for dead in (0, 2))])
@pytest.mark.parametrize("wider", [True, False])
def test_a_head_that_adds_nothing_goes_without_a_trace(dead: int, wider: bool) -> None:
    """Also where those that stay get its channels."""
    teacher = made(dead)
    student = WindowAttention(heads=2, each=6 if wider else 4)
    difference = (shrunk(teacher, student) - teacher(LR)).abs().max()
    assert difference < 1e-4
    assert student.qkv.weight.shape == ((36 if wider else 24), 12)


def test_queries_of_wider_heads_can_learn() -> None:
    teacher, student = made(2), WindowAttention(heads=2, each=6)
    shrunk(teacher, student)
    student(LR).square().sum().backward()
    gradient = student.qkv.weight.grad
    assert gradient is not None
    queries = gradient.view(3, 2, 6, 12)[0]
    assert (queries.abs().amax(-1) > 0).all()


def test_narrower_heads_keep_their_scores() -> None:
    """Scores are divided by the root of a head's width, which is in no parameter."""
    teacher = made()
    with torch.no_grad():
        rows = teacher.qkv.weight.view(3, 3, 4, 12)
        rows[:2, :, 2:] = 0
        teacher.qkv.bias.view(3, 3, 4)[:, :, 2:] = 0
        rows[2, :, 2:] = 0
    student = WindowAttention(heads=3, each=2)
    assert (shrunk(teacher, student) - teacher(LR)).abs().max() < 1e-4


def test_each_head_keeps_directions_of_its_own() -> None:
    """Scores made of 2 of 4 directions, and values of 2, others in each head, fit into heads half as wide."""
    teacher = made()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        rows, bias = teacher.qkv.weight.view(3, 3, 4, 12), teacher.qkv.bias.view(3, 3, 4)
        for part, head in itertools.product((0, 2), range(3)):  # queries and values
            some = torch.linalg.qr(torch.randn(4, 2, generator=generator))[0]
            rows[part, head] = some @ some.T @ rows[part, head]
            bias[part, head] = some @ some.T @ bias[part, head]
    student = WindowAttention(heads=3, each=2)
    assert (shrunk(teacher, student) - teacher(LR)).abs().max() < 1e-3


def test_heads_beside_windows_in_one_dimension() -> None:
    """As in attention by one operation, where masks differ from window to window."""

    class Folded(WindowAttention):
        def forward(self, x: Tensor) -> Tensor:
            y = self.first(x)
            rows = self.qkv(y.flatten(2).transpose(1, 2)).view(4, -1, 3, 3, 4).permute(2, 0, 3, 1, 4)
            q, k, v = rows.flatten(1, 2)[:, None]  # (1, windows * heads, pixels, channels)
            mixed = F.scaled_dot_product_attention(q, k, v).view(4, 3, -1, 4).transpose(1, 2)
            y = y + self.proj(mixed.reshape(1, -1, 12)).transpose(1, 2).view(y.shape)
            return F.pixel_shuffle(self.last(y), 2)

    (heads,) = heads_of(Graph.capture(Folded().eval(), LR[:1]))
    assert heads.count == 3
    assert tuple(heads.rows["proj.weight", 1].shape) == (3, 4)


def test_fewer_heads_are_nearer_than_fresh_ones() -> None:
    teacher = made()
    wanted, student = teacher(LR), WindowAttention(heads=1, each=4)
    fresh = (student(LR) - wanted).square().mean()
    assert (shrunk(teacher, student) - wanted).square().mean() < fresh / 10
