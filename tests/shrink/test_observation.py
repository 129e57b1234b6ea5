"""Which sum a layer's output goes into, behind whatever moves its values on the way there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from autocompress.shrink.graph import Graph
from autocompress.shrink.observation import Sum, Teacher, observe, rows_at, sum_of

SIDE, CHANNELS = 8, 4


class Added(nn.Module):
    """A stream of `CHANNELS`, to which a layer's output is added after some moves."""

    def __init__(self, layer: nn.Module, before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, CHANNELS, 1)
        self.layer = layer
        self.last = nn.Conv2d(CHANNELS, 12, 1)
        self._before, self._after = before, after

    def forward(self, lr: Tensor) -> Tensor:
        x = self.first(lr)
        x = x + self._after(self.layer(self._before(x)))
        return nn.functional.pixel_shuffle(self.last(x), 2)


def windows(x: Tensor) -> Tensor:
    """(1, C, 8, 8) to (4, 16, C), shifted by 2."""
    return x.roll((-2, -2), (2, 3)).view(1, CHANNELS, 2, 4, 2, 4).permute(0, 2, 4, 3, 5, 1).reshape(4, 16, CHANNELS)


def image(x: Tensor) -> Tensor:
    """The reverse."""
    return x.view(1, 2, 2, 4, 4, CHANNELS).permute(0, 5, 1, 3, 2, 4).reshape(1, CHANNELS, 8, 8).roll((2, 2), (2, 3))


def found(network: nn.Module) -> Sum | None:
    graph = Graph.capture(network, torch.rand(1, 3, SIDE, SIDE))
    return sum_of(graph, next(layer for layer in graph.layers() if layer.weight == "layer.weight"))


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        (lambda x: x.permute(0, 2, 3, 1), lambda x: x.permute(0, 3, 1, 2), False),
        (
            lambda x: x.flatten(2).transpose(1, 2),
            lambda x: 0.5 * x.transpose(1, 2).view(1, CHANNELS, SIDE, SIDE),
            False,
        ),
        (windows, image, True),
    ],
)
def test_a_linear_layer_is_followed_to_the_stream(
    before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor], moved: bool
) -> None:
    network = Added(nn.Linear(CHANNELS, CHANNELS), before, after)
    total = found(network)
    assert total is not None
    assert total.dimension == 1
    assert (total.pixels is not None) == moved
    made = torch.rand(before(torch.rand(1, CHANNELS, SIDE, SIDE)).shape)
    everywhere = torch.arange(SIDE**2)[None]
    ours = rows_at(everywhere, [made], made.dim() - 1, None)
    torch.testing.assert_close(total.factor * ours, rows_at(everywhere, [after(made)], 1, total.pixels))


def test_what_mixes_pixels_and_channels_is_not_followed() -> None:
    def shuffled(x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2).reshape(1, CHANNELS, SIDE, SIDE)

    assert found(Added(nn.Conv2d(CHANNELS, CHANNELS, 1), lambda x: x, shuffled)) is None


def test_a_channel_that_is_a_constant_does_not_matter() -> None:
    """However large it is: the bias of the layer that reads it can do the same."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, CHANNELS, 1), nn.ReLU(), nn.Conv2d(CHANNELS, 12, 1), nn.PixelShuffle(2))
    nn.init.zeros_(network[0].weight[1].detach())
    nn.init.constant_(network[0].bias[1:2].detach(), 100.0)
    images = torch.rand(3, 3, SIDE, SIDE)
    (importance,) = observe(Teacher(Graph.capture(network.eval(), images[:1])), images, 0)["importance.0"]
    assert importance[1] == 0
    assert importance.max() > 0
