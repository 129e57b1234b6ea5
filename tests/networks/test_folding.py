"""Tails as one convolution: the same result everywhere, for images of any size, and what it costs."""

import pytest
import torch
from helpers.edsr_networks import FAMILY as EDSR_FAMILY
from helpers.network_files import fvcore_total
from helpers.swinir_networks import FAMILY as SWINIR_FAMILY
from helpers.swinir_networks import random_swinir
from torch import nn

from autocompress.networks.base import Family, SRNetwork
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.folding import FoldedTail
from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.networks.tails import shuffle_factors

SIZES = [(1, 1), (1, 5), (2, 1), (2, 3), (3, 2), (4, 5), (9, 7), (16, 21)]


def random_edsr(config: EDSRConfig) -> EDSR:
    """With biases that matter, since a border is where they are missing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = EDSR(config).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.uniform_(-0.3, 0.3)
    return network


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_it_is_the_tail_everywhere(scale: int) -> None:
    network = random_edsr(EDSRConfig(scale, 6, 1))
    tail = nn.Sequential(network.upsample, network.conv_last)
    folded = FoldedTail(tail, 6, shuffle_factors(scale))
    with torch.no_grad():
        for size in SIZES:
            features = torch.randn(2, 6, *size)
            expected = tail(features)
            torch.testing.assert_close(folded(features), expected, atol=1e-5, rtol=1e-5)
        alone = (folded.folded(features) - expected).abs().amax((0, 1))
    ring = folded.ring
    assert alone[ring:-ring, ring:-ring].max() < 1e-4
    assert alone[ring - 1].max() > 1e-2  # all of the ring is needed
    assert alone[:, -ring].max() > 1e-2


@pytest.mark.parametrize(
    ("family", "network"),
    [
        *(
            pytest.param(
                EDSR_FAMILY,
                random_edsr(EDSRConfig(scale, 9, 1, res_scale=0.5)),
                marks=[pytest.mark.slow] * (scale == 2),
            )
            for scale in (2, 3, 4)
        ),
        *(
            pytest.param(
                SWINIR_FAMILY,
                random_swinir(SwinIRConfig(scale, 6, (1,), (2,), 4, upsampler="pixelshuffle")),
                marks=[pytest.mark.slow] * (scale != 2),
            )
            for scale in (2, 3, 4)
        ),
    ],
    ids=lambda value: f"{value.family}-x{value.scale}" if isinstance(value, SRNetwork) else "",
)
def test_for_programs_is_the_same_network_for_less(family: Family, network: SRNetwork) -> None:
    folded = family.for_programs(network)
    assert family.program_flops(network.config) < family.flops(network.config)
    lr = torch.rand(1, 3, 12, 16)
    with torch.no_grad():
        torch.testing.assert_close(folded(lr), network(lr), atol=1e-4, rtol=1e-4)
    # FLOPs of an image of side s are a s^2 + b s + c, of which b and c are the border's: a is a pixel's
    at = [fvcore_total(folded, torch.zeros(1, 3, side, side)) for side in (16, 32, 48)]
    per_pixel = (at[2] - 2 * at[1] + at[0]) / (2 * 16**2)
    assert family.program_flops(network.config) == round(per_pixel * 1280 * 720 / network.scale**2)


def test_nothing_is_folded_where_that_were_more_work() -> None:
    for network in (random_edsr(EDSRConfig(2, 5, 1)), random_edsr(EDSRConfig(2, 8, 1, tail="folded"))):
        assert EDSR_FAMILY.program_flops(network.config) == EDSR_FAMILY.flops(network.config)
        assert EDSR_FAMILY.for_programs(network).state_dict().keys() == network.state_dict().keys()
    direct = random_swinir(SwinIRConfig(2, 6, (1,), (2,), 4))
    assert SWINIR_FAMILY.program_flops(direct.config) == SWINIR_FAMILY.flops(direct.config)
    assert SWINIR_FAMILY.for_programs(direct).state_dict().keys() == direct.state_dict().keys()
