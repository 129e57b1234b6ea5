"""Arguments that are lists and ratios, which vary as the graph allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.command_line import Call, assert_refused

from autocompress.compute.flops import count_flops, count_params
from autocompress.errors import ConfigError
from autocompress.networks import FAMILIES, load
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.arguments import Length, changed, variations
from autocompress.networks.custom.code import Code
from autocompress.networks.effects import varying_parts
from autocompress.shrink.engine import Projection
from autocompress.shrink.graph import Graph
from autocompress.shrink.observation import Teacher, observe

CODE = """
import torch.nn.functional as F
from torch import nn


def conv(inputs, outputs, kernel=3):
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class Block(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.up, self.down = conv(width, hidden, 1), conv(hidden, width)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(x)))


class Group(nn.Module):
    def __init__(self, width, hidden, depth):
        super().__init__()
        self.blocks = nn.Sequential(*(Block(width, hidden) for _ in range(depth)))
        self.last = conv(width, width)

    def forward(self, x):
        return x + self.last(self.blocks(x))


class Listed(nn.Module):
    def __init__(self, depths=(2, 2, 2), ratios=(1.5,), ratio=2.0, channels=(8, 12), slope=0.1, scale=2, sides=[5, 5]):
        super().__init__()
        width, inner = channels
        self.first, self.mixed = conv(3, width), conv(width, inner)
        self.groups = nn.ModuleList(Group(inner, int(inner * ratio), depth) for depth in depths)
        self.tail = conv(inner, 3 * scale**2)
        self.slope, self.scale = slope, scale

    def forward(self, x):
        y = self.mixed(F.leaky_relu(self.first(x), self.slope))
        for group in self.groups:
            y = group(y)
        return F.pixel_shuffle(self.tail(y), self.scale)
"""


@pytest.fixture
def family(here: Path) -> CustomFamily:
    (here / "listed.py").write_text(CODE)
    return CustomFamily(Code.parse("listed.py:Listed"), {})


def test_what_varies(family: CustomFamily) -> None:
    assert {count.field: values for count, values in family.values.items()} == {
        "depths": (1, 2),
        "depths.length": (1, 2, 3),
        "ratio": (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0),
        "channels.0": (4, 5, 6, 7, 8),
        "channels.1": (4, 5, 6, 7, 8, 9, 10, 11, 12),
    }
    kinds = {count.field: (count.whole, count.what) for count in family.counts}
    assert kinds["ratio"] == (False, "times the channels")
    assert kinds["depths"] == kinds["depths.length"] == (True, "parts")


def test_a_student_is_the_same_code_with_smaller_arguments(family: CustomFamily) -> None:
    teacher = family.build(family.config()).eval()
    numbers = {"depths": 1, "depths.length": 2, "ratio": 0.75, "channels.0": 5, "channels.1": 10}
    config = family.student_config(teacher.config, numbers)
    assert config.values["depths"] == [1, 1]
    assert config.values["channels"] == [5, 10]
    assert config.values["ratio"] == 0.75
    assert family.counts_of(config) == numbers
    student = family.build(config).eval()
    assert len(student.network.groups) == 2  # type: ignore[arg-type]
    assert student.network.groups[0].blocks[0].up.weight.shape == (7, 10, 1, 1)  # type: ignore[index, union-attr]
    assert family.flops(config) == count_flops(student, 2)
    assert family.params(config) == count_params(student)
    lr = torch.rand(4, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    captured = Teacher(Graph.capture(teacher.network, lr[:1]))
    project = Projection(captured, lr, observe(captured, lr, 0))
    project(student.network)
    whole = family.build(family.student_config(teacher.config, {})).eval()
    project(whole.network)
    with torch.no_grad():
        torch.testing.assert_close(whole(lr), teacher(lr), atol=1e-4, rtol=1e-4)
        fresh = family.build(config).eval()
        assert (student(lr) - teacher(lr)).square().mean() < (fresh(lr) - teacher(lr)).square().mean() / 2


def test_parts_that_can_go_are_ranked(family: CustomFamily) -> None:
    assert varying_parts(family, family.config()) == {
        "groups.",
        *(f"groups.{index}.blocks." for index in range(3)),
    }


def test_values_between_are_taken_and_others_refused(family: CustomFamily) -> None:
    assert family.student_config(family.config(), {"ratio": 0.6}).values["ratio"] == 0.6  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"ratio is 2.5, but Listed takes"):
        family.student_config(family.config(), {"ratio": 2.5})


def test_how_arguments_are_told_apart() -> None:
    arguments = {"a": [6, 6], "b": (4, 8), "c": 2.5, "d": True, "e": 1, "f": [1] * 9, "g": list(range(9)), "h": "x"}
    known = {variation.field: variation for variation in variations(arguments)}
    assert list(known) == ["a", "b.0", "b.1", "c", "a.length", "f.length"]
    del arguments["b"]
    made = changed(arguments, {"a.length": 1, "a": 3}, known | {"a.length": Length(("a",))})
    assert made == {**arguments, "a": [3]}


OWN = ("--code", "listed.py:Listed", "--input-range", "1")


def images(photos: Path) -> tuple[object, ...]:
    return ("--train", photos, "--val", photos, "--allow-weak-teacher", "--steps", "2")


@pytest.fixture
def listed(here: Path, family: CustomFamily) -> Iterator[str]:
    torch.manual_seed(0)
    torch.save(family.build(family.config()).state_dict(), "listed.pth")
    yield "listed.pth"
    FAMILIES.pop("Listed", None)


@pytest.mark.slow
def test_one_student_from_the_command_line(call: Call, here: Path, photos: Path, listed: str) -> None:
    made = ("--set", "depths=1", "--set", "ratio=0.5", "--set", "channels.1=6")
    ended = call("distill", listed, *OWN, *made, *images(photos), "--data", photos, "--out", "one.safetensors")
    assert ended.code == 0, ended.err
    student = load("one.safetensors", code="listed.py:Listed")
    assert student.config.values["channels"] == [8, 6]  # type: ignore[attr-defined]
    refused = call("distill", listed, *OWN, "--set", "depths=[1, 1]", *images(photos), "--out", "two.safetensors")
    assert_refused(refused, "depths is [1, 1], but must be a whole number")


@pytest.mark.slow
def test_a_search_from_the_command_line(call: Call, here: Path, photos: Path, listed: str) -> None:
    space = call("spaces", "show", "--teacher", listed, *OWN)
    assert "depths.length: {type: int, low: 1, high: 3, step: 1}" in space.out
    assert "ratio: {type: float, low: 0.25, high: 2.0, step: 0.25}" in space.out
    (here / "own.yaml").write_text(space.out)
    words = ("--teacher", listed, *OWN, *images(photos), "--budget-flops", "5G", "--space", "own.yaml", "--out", "run")
    for trials in ("2", "3"):
        ended = call("search", *words, "--trials", trials)
        assert ended.code == 0, ended.err
    exported = call("export", "run", *OWN[:2], "--out", "models", "--format", "pth")
    assert exported.code == 0, exported.err
    for file in (here / "models").glob("*.pth"):
        arguments = json.loads(file.with_suffix(".json").read_text())["config"]["arguments"]
        built = Code.parse("listed.py:Listed").build(arguments)
        built.load_state_dict(torch.load(file)["params"])


EXPERTS = """
import torch.nn.functional as F
from torch import nn


class Experts(nn.Module):
    def __init__(self, feat=8, experts=2):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, feat, 3, padding=1), nn.Conv2d(feat, 12, 3, padding=1)
        self.experts = nn.ModuleList(nn.Conv2d(feat, feat, 1) for _ in range(experts))

    def forward(self, x):
        y = self.first(x)
        shares = y.mean((0, 2, 3)).softmax(0)
        if self.training:
            y = y + sum(expert(y) for expert in self.experts)
        else:
            y = y + sum(self.experts[int(index)](y) for index in range(len(self.experts)) if float(shares.sum()) > 0)
        return F.pixel_shuffle(self.last(y), 2)
"""


def test_code_that_looks_at_values_is_tried_with_memory(here: Path) -> None:
    (here / "experts.py").write_text(EXPERTS)
    family = CustomFamily(Code.parse("experts.py:Experts"), {})
    assert {count.field: values for count, values in family.values.items()} == {
        "feat": (4, 5, 6, 7, 8),
        "experts": (1, 2),
    }
