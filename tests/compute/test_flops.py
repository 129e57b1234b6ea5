"""What fvcore counts, and what it does not without help."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autocompress.compute.flops import counted


class Windows(nn.Module):
    """A norm over channels of windows that lie in rows and columns."""

    def __init__(self, affine: bool, apart: bool) -> None:
        super().__init__()
        self.norm, self.apart = nn.LayerNorm(3, elementwise_affine=affine), apart

    def forward(self, x: Tensor) -> Tensor:
        y = x.unflatten(2, (-1, 4)).unflatten(4, (-1, 4)).movedim(1, -1)
        return self.norm(y if self.apart else y.flatten(0, 2))


def test_norms_of_six_dimensions_count_as_those_of_fewer() -> None:
    for affine, each in ((True, 5), (False, 4)):
        networks = [Windows(affine, apart) for apart in (True, False)]
        for network in networks:
            network.register_parameter("other", nn.Parameter(torch.zeros(1)))
        assert [counted(network, 8) for network in networks] == [each * 3 * 8 * 8] * 2
