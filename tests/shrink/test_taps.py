"""What convolutions read, looked up at single pixels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from autocompress.shrink.graph import Graph
from autocompress.shrink.taps import Taps


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 1},
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": (3, 5), "padding": (1, 0), "stride": (2, 1)},
        {"kernel_size": 3, "padding": 2, "dilation": 2, "stride": 2},
        {"kernel_size": (3, 1), "padding": "same", "dilation": (3, 1)},
        {"kernel_size": 3, "padding": "valid"},
    ],
)
@torch.no_grad()
def test_a_layer_on_the_taps_is_the_convolution(options: dict[str, Any]) -> None:
    conv = nn.Conv2d(3, 4, **options)
    image = torch.rand(1, 3, 16, 13, generator=torch.Generator().manual_seed(0))
    (layer,) = Graph.capture(conv, image).layers()
    expected = conv(image)
    height, width = expected.shape[-2:]
    positions = torch.randperm(height * width, generator=torch.Generator().manual_seed(1))[:20]
    rows = Taps.of(layer, conv.weight).at(image, positions, width)
    made = nn.functional.linear(rows, conv.weight.movedim(1, -1).flatten(1), conv.bias)
    torch.testing.assert_close(made, expected.flatten(2)[0].T[positions])
