"""Repeated parts: which are ranked, and how."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from helpers.sr_networks import conv
from torch import Tensor, nn

from autocompress.shrink.graph import Graph
from autocompress.shrink.observation import Teacher, observe
from autocompress.shrink.part_importance import changes_without, importance_of_parts, most_important, work_of_parts
from autocompress.shrink.parts import kept_parts, repeated_parts

IMAGES = torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    """Two layers that are alike, on a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(6, 6), conv(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x)))


class Blocks(nn.Module):
    """What is read at first is added at last, so that the whole of it is needed when a block is gone."""

    def __init__(self, count: int = 4) -> None:
        super().__init__()
        self.first, self.last = conv(3, 6), conv(6, 3)
        self.body = nn.ModuleList(Block() for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        y = first
        for block in self.body:
            y = block(y)
        return self.last(y + first)


def made() -> Blocks:
    torch.manual_seed(0)
    return Blocks().eval()


@torch.no_grad()
def test_parts_are_ranked_by_what_the_output_loses_without_them() -> None:
    network = made()
    whole, changes = network(IMAGES), []
    for index in range(4):
        less = made()
        del less.body[index]
        changes.append((less(IMAGES) - whole).flatten())
    graph = Graph.capture(network, IMAGES[:1])
    (parts,) = (parts for parts in repeated_parts(graph.shapes) if parts.prefix == "body.")
    found = changes_without(graph, parts, [image[None] for image in IMAGES])
    expected = torch.tensor([[(one * other).mean() for one in changes] for other in changes])
    torch.testing.assert_close(found, expected)


def test_only_parts_that_can_go_are_ranked() -> None:
    captured = Teacher(Graph.capture(made(), IMAGES[:1]))
    ranked = {name for name in observe(captured, IMAGES, 0) if name.startswith("parts.")}
    assert ranked == {"parts.body.", *(f"parts.body.{index}.conv" for index in range(4))}
    some = observe(captured, IMAGES, 0, {"body."})
    assert {name for name in some if name.startswith("parts.")} == {"parts.body."}


def test_parts_without_a_rank_stay_as_they_come() -> None:
    whole, fewer = ({name: tuple(t.shape) for name, t in Blocks(count).state_dict().items()} for count in (4, 2))
    assert kept_parts(whole, fewer) == {"body.0.": "body.0.", "body.1.": "body.1."}
    assert kept_parts(whole, fewer, lambda *_: [1, 3]) == {"body.0.": "body.1.", "body.1.": "body.3."}


class Layer(nn.Module):
    """Adds something, of what every second layer of a group shifts, under a mask that is made of nothing."""

    def __init__(self, shifted: bool) -> None:
        super().__init__()
        self.shifted, self.conv = shifted, nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if not self.shifted:
            return x + self.conv(x)
        return x + self.conv(x.roll(1, -1) * mask).roll(-1, -1)


class Group(nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(index % 2 == 1) for index in range(count))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, mask)
        return x


class Grouped(nn.Module):
    def __init__(self, groups: int, count: int) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 12, 1)
        self.groups = nn.ModuleList(Group(count) for _ in range(groups))

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.ones(x.shape[-1], device=x.device)
        mask[0] = 0
        x = self.first(x)
        for group in self.groups:
            x = group(x, mask)
        return F.pixel_shuffle(self.last(x), 2)


def grouped(groups: int, count: int) -> Graph:
    torch.manual_seed(0)
    return Graph.capture(Grouped(groups, count).eval(), IMAGES[:1])


def test_layers_keep_their_turns() -> None:
    """A shifted layer of a student is one of its teacher's, whatever matters most."""
    teacher, student = grouped(1, 6), grouped(1, 3)
    changes = {"groups.0.layers.": torch.tensor([1.0, 2.0, 3.0, 9.0, 8.0, 7.0]).diag()}
    kept = kept_parts(teacher.shapes, student.shapes, most_important(teacher, student, changes))
    assert list(kept.values()) == ["groups.0.layers.2.", "groups.0.layers.3.", "groups.0.layers.4."]
    turned = {"groups.0.layers.": torch.tensor([1.0, 9.0, 3.0, 1.0, 8.0, 9.0]).diag()}
    kept = kept_parts(teacher.shapes, student.shapes, most_important(teacher, student, turned))
    assert list(kept.values()) == ["groups.0.layers.0.", "groups.0.layers.1.", "groups.0.layers.4."]


def test_what_parts_change_together_decides() -> None:
    """Two that change the output alike do not both go, though each by itself matters least."""
    teacher, student = (Graph.capture(Blocks(count).eval(), IMAGES[:1]) for count in (4, 2))
    changes = torch.tensor([[1.0, 0.0], [1.1, 0.0], [0.0, 1.2], [5.0, 5.0]])  # of two pixels, by block
    for products, expected in ((changes @ changes.T, [1, 3]), (changes.square().sum(1).diag(), [2, 3])):
        kept = kept_parts(teacher.shapes, student.shapes, most_important(teacher, student, {"body.": products}))
        assert list(kept.values()) == [f"body.{index}." for index in expected]


def test_groups_are_worth_what_their_layers_are() -> None:
    graph = grouped(2, 3)
    parts, images = repeated_parts(graph.shapes), [image[None] for image in IMAGES]
    worked = list[int]()
    found = importance_of_parts(graph, parts, images, worked.append)
    assert sorted(worked) == sorted(work_of_parts(graph, parts, len(images)))
    inner = [found[f"groups.{index}.layers."] for index in range(2)]
    for index, prefix in enumerate(("groups.0.layers.", "groups.1.layers.")):
        (layers,) = (each for each in parts if each.prefix == prefix)
        torch.testing.assert_close(inner[index], changes_without(graph, layers, images[:4]))
        assert len(set(inner[index].diagonal().tolist())) == 3
    torch.testing.assert_close(found["groups."], torch.stack([each.trace() for each in inner]).diag())
