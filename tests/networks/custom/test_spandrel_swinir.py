"""SwinIR as spandrel's own class: widths, blocks and whole heads go by its graph alone, and spandrel reads students."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers.torchvision_stub import stand_in_for_torchvision
from torch import Tensor, nn

from autocompress.compute.flops import count_flops, count_params
from autocompress.errors import ConfigError
from autocompress.networks.base import Shrinker
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.network import CustomNetwork
from autocompress.networks.custom.spandrel_networks import spandrel_family
from autocompress.shrink.init import Init

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("spandrel") is None, reason="spandrel is not installed; it is an extra"
    ),
    pytest.mark.filterwarnings("ignore:torch.meshgrid"),  # by spandrel's code
]
ARGUMENTS: dict[str, Any] = {
    "embed_dim": 24,
    "depths": [2, 2],
    "num_heads": [4, 4],
    "window_size": 8,
    "mlp_ratio": 2.0,
    "upscale": 2,
    "upsampler": "pixelshuffledirect",
}
LR = F.interpolate(torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), size=(32, 32), mode="bicubic")


@pytest.fixture(scope="module")
def teacher() -> CustomNetwork:
    """Random weights, in which attention has a part."""
    stand_in_for_torchvision()
    importlib.import_module("spandrel")  # first: its architectures import each other through it
    torch.manual_seed(0)
    network: nn.Module = importlib.import_module("spandrel.architectures.SwinIR").SwinIR(**ARGUMENTS).eval()
    for name, parameter in network.named_parameters():
        if parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.5 if "table" in name else parameter.shape[1] ** -0.5)
    family = spandrel_family(network.state_dict())
    assert family is not None
    made = family.with_tensors(network.state_dict(), input_range=1.0)
    assert isinstance(made, CustomNetwork)
    return made.requires_grad_(False)


@pytest.fixture(scope="module")
def family(teacher: CustomNetwork) -> CustomFamily:
    assert isinstance(teacher.made_by, CustomFamily)
    return teacher.made_by


@pytest.fixture(scope="module")
def shrink(teacher: CustomNetwork, family: CustomFamily) -> Shrinker:
    return family.shrinker(teacher, LR, Init.PROJECTION, family.analyse(teacher, LR, Init.PROJECTION, 0))


def error(computed: Tensor, expected: Tensor) -> float:
    """Mean square, as a share of that of the expected."""
    return float((computed - expected).square().mean() / expected.square().mean())


def test_what_varies(family: CustomFamily) -> None:
    assert {count.field: (count.what, values) for count, values in family.values.items()} == {
        "embed_dim": ("channels", (4, 8, 12, 16, 20, 24)),
        "mlp_ratio": ("times the channels", tuple(step / 4 for step in range(1, 9))),
        "num_heads": ("heads", (1, 2, 3, 4)),
        "depths.length": ("parts", (1, 2)),
    }


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"embed_dim": 12, "num_heads": 3, "mlp_ratio": 1.0, "depths.length": 1},
        *(pytest.param(counts, marks=pytest.mark.slow) for counts in ({"embed_dim": 16}, {"num_heads": 2})),
    ],
)
def test_students(teacher: CustomNetwork, family: CustomFamily, shrink: Shrinker, counts: Mapping[str, float]) -> None:
    config = family.student_config(teacher.config, counts)
    student = shrink(config)
    assert family.flops(config) == count_flops(student, 2)
    assert family.params(config) == count_params(student)
    again = spandrel_family(student.state_dict())
    assert again is not None
    arguments = config.to_dict()["arguments"]
    for name in ("embed_dim", "num_heads", "mlp_ratio"):
        assert again.arguments[name] == arguments[name]
    with torch.no_grad():
        read = again.with_tensors(student.state_dict(), input_range=1.0)
        torch.testing.assert_close(read(LR), student(LR))
        expected = teacher(LR)
        torch.manual_seed(1)
        fresh = family.build(config).eval()
        lost = error(student(LR), expected)
        assert lost < (error(fresh(LR), expected) / 4 if counts else 1e-8)


def test_channels_that_heads_cannot_share_are_refused(teacher: CustomNetwork, family: CustomFamily) -> None:
    with pytest.raises(ConfigError, match="no student of embed_dim 20, num_heads 3: all heads must have the same"):
        family.student_config(teacher.config, {"embed_dim": 20, "num_heads": 3})
