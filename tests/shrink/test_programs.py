"""Smaller networks of exported programs: they are what the same code builds with smaller arguments."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from helpers.exported import write_pt2
from helpers.sr_networks import IMDN, RLFN, conv
from torch import Tensor, nn

from autocompress.errors import ConfigError
from autocompress.io.programs import read_program
from autocompress.shrink.engine import Projection
from autocompress.shrink.graph import Graph
from autocompress.shrink.observation import Teacher, observe
from autocompress.shrink.programs import ProgramGraph

IMAGES = torch.rand(2, 3, 24, 33, generator=torch.Generator().manual_seed(0))


class Forms(nn.Module):
    """Operations with numbers of channels in them, between layers of `width` channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.first, self.last = conv(3, width), conv(width, 12)
        self.deep, self.norm = nn.Conv2d(width, width, 3, padding=1, groups=width), nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.scale = nn.Parameter(torch.rand(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.deep(self.first(x)) * self.scale
        batch, _, height, width = x.shape
        rows = x.reshape(batch, self.width, height * width).transpose(1, 2)
        a, b = self.gate(self.norm(rows)).chunk(2, -1)
        x = x + (a * b.sigmoid()).transpose(1, 2).view(batch, self.width, height, width)
        x = torch.cat([x[:, self.width :], x[:, : self.width]], 1)
        return F.pixel_shuffle(self.last(F.leaky_relu(x, 0.1)), 2)


class Sequence(nn.Module):
    """Repeated parts in a sequence with something behind them."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 8), *(nn.Sequential(conv(8, 8), nn.ReLU()) for _ in range(blocks)), conv(8, 12)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.body(x), 2)


def program(network: nn.Module, folder: Path) -> ProgramGraph:
    write_pt2(network, folder / "net.pt2")
    return ProgramGraph(read_program(folder / "net.pt2"))


def with_size(graph: ProgramGraph, sizes: dict[int, int]) -> dict[int, int]:
    """Sizes by axis, of sizes by size."""
    return {number: sizes[axis.size] for number, axis in enumerate(graph.channels.axes) if axis.size in sizes}


@pytest.mark.parametrize(
    ("teacher", "student", "sizes", "counts"),
    [
        (Forms(8), Forms(5), {8: 5}, {}),
        pytest.param(RLFN(16, 2, 8, 3), RLFN(12, 2, 6, 2), {16: 12, 8: 6}, {"block_": 2}, marks=pytest.mark.slow),
        pytest.param(
            IMDN(nf=64, num_modules=2, upscale=2),
            IMDN(nf=32, num_modules=2, upscale=2),
            {64: 32, 48: 24, 16: 8, 4: 2},
            {},
            marks=pytest.mark.slow,
        ),
        (Sequence(4), Sequence(2), {}, {"body.": 2}),
    ],
)
@torch.no_grad()
def test_a_student_is_what_the_code_builds(
    tmp_path: Path, teacher: nn.Module, student: nn.Module, sizes: dict[int, int], counts: dict[str, int]
) -> None:
    graph = program(teacher, tmp_path)
    torch.testing.assert_close(graph.student({}, {})(IMAGES), teacher.eval()(IMAGES))
    made = graph.student(with_size(graph, sizes), counts)
    student.load_state_dict(made.state_dict())
    torch.testing.assert_close(made(IMAGES), student.eval()(IMAGES))
    shapes = graph.shapes(with_size(graph, sizes), counts)
    assert shapes == {name: tuple(tensor.shape) for name, tensor in student.state_dict().items()}
    assert dict(made.named_parameters()).keys() == dict(student.named_parameters()).keys()


@pytest.mark.slow
def test_it_is_fitted_as_a_network_of_code_is(tmp_path: Path) -> None:
    torch.manual_seed(0)
    teacher = RLFN(16, 2, 8, 2).eval()
    graph = program(teacher, tmp_path)
    images = torch.rand(4, 3, 32, 32)
    students: list[nn.Module] = [graph.student(with_size(graph, {16: 8}), {}), RLFN(8, 2, 8, 2).eval()]
    for whole, student in zip((graph.student({}, {}), teacher), students, strict=True):
        captured = Teacher(Graph.capture(whole, images[:1]))
        Projection(captured, images, observe(captured, images, 0))(student)
    ours, theirs = (student.state_dict() for student in students)
    torch.testing.assert_close(ours, {name: theirs[name] for name in ours}, atol=1e-4, rtol=1e-3)


class OfTwo(nn.Module):
    """A network of two images."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return F.interpolate(x + y, scale_factor=2.0)


def test_a_program_of_two_images_is_refused() -> None:
    exported = torch.export.export(OfTwo(), (IMAGES, IMAGES))
    with pytest.raises(ConfigError, match="2 inputs and 1 outputs, but a network to shrink has one image"):
        ProgramGraph(exported)
