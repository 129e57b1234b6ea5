"""Repeated parts: which are ranked, and how."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from helpers.sr_networks import conv
from torch import Tensor, nn

from autocompress.shrink.graph import Graph
from autocompress.shrink.observation import Teacher, observe
from autocompress.shrink.parts import kept_parts, order_of_importance, repeated_parts

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
        changes.append(F.mse_loss(less(IMAGES), whole).item())
    graph = Graph.capture(network, IMAGES[:1])
    (parts,) = (parts for parts in repeated_parts(graph.shapes) if parts.prefix == "body.")
    order = order_of_importance(graph, parts, [image[None] for image in IMAGES])
    assert order.tolist() == sorted(range(4), key=lambda index: -changes[index])


def test_only_parts_that_can_go_are_ranked() -> None:
    captured = Teacher(Graph.capture(made(), IMAGES[:1]))
    ranked = {name for name in observe(captured, IMAGES, 0) if name.startswith("order.")}
    assert ranked == {"order.body.", *(f"order.body.{index}.conv" for index in range(4))}
    some = observe(captured, IMAGES, 0, {"body."})
    assert {name for name in some if name.startswith("order.")} == {"order.body."}


def test_parts_without_a_rank_stay_as_they_come() -> None:
    whole, fewer = ({name: tuple(t.shape) for name, t in Blocks(count).state_dict().items()} for count in (4, 2))
    assert kept_parts(whole, fewer, {}) == {"body.0.": "body.0.", "body.1.": "body.1."}
    assert kept_parts(whole, fewer, {"body.": torch.tensor([3, 1, 0, 2])}) == {
        "body.0.": "body.1.",
        "body.1.": "body.3.",
    }
