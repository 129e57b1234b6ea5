"""Whole channels and whole repeated parts of a teacher."""

import torch
from torch import Tensor, nn

from autocompress.shrink.engine import Projection
from autocompress.shrink.graph import Graph
from autocompress.shrink.importance import summed, taylor_importance
from autocompress.shrink.observation import Teacher


class Body(nn.Module):
    """A stream of `width` channels that `depth` convolutions are added to; a module of its own holds others inside."""

    def __init__(self, width: int, depth: int, inner: int = 0) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 1)
        self.body = nn.ModuleList(nn.Sequential(nn.Conv2d(width, width, 1)) for _ in range(depth))
        self.layers = nn.ModuleList(nn.ModuleDict({"inner": Body(width, 2).body}) for _ in range(inner))
        self.last = nn.Conv2d(width, 12, 1)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.first(lr)
        for layer in [*self.body, *(each for part in self.layers for each in part["inner"])]:
            x = x + layer(x).relu()
        return nn.functional.pixel_shuffle(self.last(x), 2)


def kept(teacher: nn.Module, student: nn.Module, scores: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a student that keeps what scores most, as it is."""
    images = torch.rand(1, 3, 8, 8)
    seen = Teacher(Graph.capture(teacher, images))
    Projection(seen, images, summed(seen, scores), refit=False)(student)
    return student.state_dict()


def nothing(teacher: nn.Module) -> dict[str, Tensor]:
    return {name: torch.zeros_like(weight) for name, weight in teacher.state_dict().items()}


def test_what_scores_most_stays_in_its_order() -> None:
    teacher, student = Body(4, 3), Body(2, 2)
    scores = nothing(teacher)
    scores["first.weight"][3] = scores["first.weight"][1] = 1.0
    scores["body.2.0.weight"][0, 0] = 0.5
    scores["body.0.0.weight"][0, 0] = 0.25
    weights, old = kept(teacher, student, scores), teacher.state_dict()
    stream = torch.tensor([1, 3])
    assert torch.equal(weights["first.weight"], old["first.weight"][stream])
    assert torch.equal(weights["first.bias"], old["first.bias"][stream])
    for ours, theirs in ((0, 0), (1, 2)):
        assert torch.equal(weights[f"body.{ours}.0.weight"], old[f"body.{theirs}.0.weight"][stream][:, stream])
    assert torch.equal(weights["last.weight"], old["last.weight"][:, stream])
    assert torch.equal(weights["last.bias"], old["last.bias"])


def test_sums_are_of_all_that_belongs_to_a_channel_or_a_part() -> None:
    teacher = Body(4, 2, inner=3)
    scores = nothing(teacher)
    scores["body.0.0.weight"][1, 2] = 1.0
    scores["layers.2.inner.1.0.bias"][0] = 2.0
    found = summed(Teacher(Graph.capture(teacher, torch.rand(1, 3, 8, 8))), scores)
    streams = [name for name in found if name.startswith("importance.") and found[name].shape == (1, 4)]
    assert [found[name].tolist() for name in streams] == [[[2.0, 1.0, 1.0, 0.0]]]
    assert found["parts.body."].diagonal().tolist() == [1.0, 0.0]
    assert found["parts.layers."].diagonal().tolist() == [0.0, 0.0, 2.0]
    assert found["parts.layers.2.inner."].diagonal().tolist() == [0.0, 2.0]
    assert found["parts.layers.1.inner."].diagonal().tolist() == [0.0, 0.0]


def test_a_parameter_that_nothing_uses_has_no_gradient() -> None:
    network = Body(4, 2)
    network.unused = nn.Parameter(torch.ones(3))
    importance = taylor_importance(network, 2, torch.rand(2, 3, 8, 8))
    assert importance["unused"].tolist() == [0.0] * 3
    assert importance["first.weight"].sum() > 0
