"""SwinIRs of several sizes, and random inputs for them."""

import torch
from hypothesis import strategies as st
from torch import Tensor

from autocompress.networks.swinir import SwinIRFamily
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig

FAMILY = SwinIRFamily()
SMALL, MINI = SwinIRConfig(2), SwinIRConfig(2, 24, (4, 4, 4), (6, 6, 6))
TINY = SwinIRConfig(2, 12, (2, 3), (2, 3), window_size=4)

block_counts = st.lists(st.tuples(st.integers(1, 3), st.sampled_from([1, 2, 3])), min_size=1, max_size=3)


@st.composite
def configs(draw: st.DrawFn) -> SwinIRConfig:
    """Any that builds fast."""
    depths, heads = zip(*draw(block_counts), strict=True)
    return SwinIRConfig(
        draw(st.sampled_from([2, 3, 4])),
        draw(st.sampled_from([6, 12, 18])),
        depths,
        heads,
        draw(st.sampled_from([2, 3, 4, 8])),
        draw(st.sampled_from([0.5, 1.0, 1.3, 2, 4.0])),
        draw(st.sampled_from(["pixelshuffledirect", "pixelshuffle"])),
    )


def images(height: int, width: int, count: int = 1) -> Tensor:
    """The same at every call."""
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(height * width))


def random_swinir(config: SwinIRConfig, seed: int = 0) -> SwinIR:
    """A random network whose attention is far from uniform and whose tensors are all different."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = SwinIR(config).eval()
        with torch.no_grad():
            for name, parameter in made.named_parameters():
                noise = 0.5 if name.endswith("table") else 0.1
                parameter.add_(noise * torch.randn_like(parameter))
    return made
