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


class Experts(nn.Module):
    """Runs one of two convolutions, of 1 and of 5 channels, chosen by the values that it reads."""

    def __init__(self, chosen: int) -> None:
        super().__init__()
        self.router, self.bias = nn.Conv2d(3, 2, 1, bias=False), nn.Parameter(torch.eye(2)[chosen])
        self.experts = nn.ModuleList(nn.Conv2d(3, channels, 1) for channels in (1, 5))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.router(x).mean((0, 2, 3)) + self.bias
        made: Tensor = self.experts[int(scores.topk(1).indices)](x)
        return made * scores.amax()


def test_weights_do_not_decide_what_is_counted() -> None:
    for chosen in (0, 1):
        network = Experts(chosen)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        assert counted(network, 8) == 8 * 8 * 3 * (2 + 1)
        torch.testing.assert_close(network.state_dict(), before, atol=0, rtol=0)
        assert network(torch.zeros(1, 3, 8, 8)).shape[1] == (1, 5)[chosen]
