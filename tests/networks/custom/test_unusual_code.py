"""Code as people have it: what a student of it can be, of each scale, in whatever way its layers are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from typing_extensions import override

from autocompress.compute.flops import count_flops, count_params
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.code import Builder
from autocompress.shrink.init import Init

LR = F.interpolate(torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0)), size=(24, 24), mode="bicubic")
Step = Callable[[nn.Module], object]


class Network(nn.Module):
    """Blocks on a stream, and an upsampler."""

    def __init__(self, feat: int = 8, blocks: int = 2, scale: int = 2) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, feat, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(feat, feat, 3, padding=1) for _ in range(blocks))
        self.tail = nn.Conv2d(feat, 3 * scale**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(x)
        for layer in self.body:
            y = y + F.relu(layer(y))
        return F.pixel_shuffle(self.tail(y), self.scale) + F.interpolate(x, scale_factor=self.scale)


class Deconvolution(Network):
    """A transposed convolution makes the colours."""

    def __init__(self, feat: int = 8, blocks: int = 2, scale: int = 2) -> None:
        super().__init__(feat, blocks, scale)
        self.tail = nn.ConvTranspose2d(feat, 3, 3 * scale, stride=scale, padding=scale)

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(x)
        for layer in self.body:
            y = y + F.relu(layer(y))
        return self.tail(y)  # type: ignore[no-any-return]


class Dropping(Network):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, 0.5, self.training))


class Repeating(Network):
    """One layer is used again."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(x)
        for layer in [*self.body, self.body[0]]:
            y = y + F.relu(layer(y))
        return F.pixel_shuffle(self.tail(y), self.scale)


class Reading(Network):
    """It reads a value of the image."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + 0 * x.mean().item())


def halved(network: nn.Module) -> None:
    network.half()


def tied(network: nn.Module) -> None:
    network.body[1].weight = network.body[0].weight  # type: ignore[index, union-attr]


def with_buffers(network: nn.Module) -> None:
    for name, value in {"steps": torch.tensor(7), "seen": torch.ones(3, dtype=torch.bool)}.items():
        network.register_buffer(name, value)


def each_layer(norm: Step) -> Step:
    return lambda network: [norm(layer) for layer in network.body]  # type: ignore[union-attr]


class Made(Builder):
    """Networks of a class, after a step."""

    digest = ""

    def __init__(self, made: type[nn.Module], step: Step) -> None:
        self.name, self.made, self.step = made.__name__, made, step

    @property
    @override
    def importing(self) -> str:
        return ""

    @override
    def callable(self) -> Callable[..., nn.Module]:
        def build(feat: int = 8, blocks: int = 2, scale: int = 2) -> nn.Module:
            network = self.made(feat, blocks, scale)
            self.step(network)
            return network

        return build


def nothing(network: nn.Module) -> None:
    """It stays as it is."""


ALL, WIDTH, DEPTH = {"feat": 5, "blocks": 1}, {"feat": 5}, {"blocks": 1}


@pytest.mark.parametrize(
    ("made", "step", "scale", "counts"),
    [
        (Network, with_buffers, 4, ALL),
        (Deconvolution, nothing, 3, ALL),
        (Network, each_layer(weight_norm), 2, DEPTH),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (Network, nothing, 3, ALL),
                (Deconvolution, nothing, 4, ALL),
                (Dropping, nothing, 2, ALL),
                (Reading, nothing, 2, ALL),
                (Network, halved, 2, ALL),
                (Network, tied, 2, WIDTH),
                (Repeating, nothing, 2, ALL),
                (Network, each_layer(spectral_norm), 2, DEPTH),
            )
        ),
    ],
)
def test_it_is_shrunk_and_counted(made: type[nn.Module], step: Step, scale: int, counts: Mapping[str, int]) -> None:
    torch.manual_seed(0)
    family = CustomFamily(Made(made, step), {"scale": scale})
    teacher = family.build(family.config()).eval().requires_grad_(False)
    assert teacher.scale == scale
    assert {count.field for count in family.counts} == counts.keys()
    shrink = family.shrinker(teacher, LR, Init.PROJECTION, family.analyse(teacher, LR, Init.PROJECTION, 0))
    whole, config = shrink(teacher.config), family.student_config(teacher.config, counts)
    student = shrink(config)
    again = family.build(config).eval()
    again.load_state_dict(student.state_dict(), strict=True)
    assert family.flops(config) == count_flops(student, scale)
    assert family.params(config) == count_params(student)
    with torch.no_grad():
        expected = teacher(LR)
        torch.testing.assert_close(whole(LR), expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(again(LR), student(LR))
        fresh = family.build(config).eval()
        assert (student(LR) - expected).square().mean() < (fresh(LR) - expected).square().mean() / 2
