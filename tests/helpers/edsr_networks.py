"""EDSRs of several sizes, and weights for them."""

from pathlib import Path

import torch
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSR, TAILS, EDSRConfig

FAMILY = EDSRFamily()
GOLDEN = ["edsr_x2_f16_b4", "edsr_x3_f8_b2", "edsr_x4_f16_b3_res0.1", "edsr_pytorch_keys_x2_f16_b4"]

configs = st.builds(
    EDSRConfig,
    scale=st.sampled_from([2, 3, 4]),
    num_feat=st.integers(1, 9),
    num_block=st.integers(1, 4),
    num_layer=st.integers(1, 3),
    tail=st.sampled_from(TAILS),
)


def weights(
    scale: int = 2, num_feat: int = 6, num_block: int = 2, num_layer: int = 2, tail: str = "plain"
) -> dict[str, Tensor]:
    """Random ones, the same at every call."""
    torch.manual_seed(0)
    return dict(FAMILY.build(EDSRConfig(scale, num_feat, num_block, num_layer, tail=tail)).state_dict())


def tiny_edsr() -> EDSR:
    """An EDSR of 8 features and 2 blocks at x2 that is better than bicubic, on photographs and on waves.

    Its last layers are fitted by least squares to such images; the others are random.
    """
    network = FAMILY.build(EDSRConfig(scale=2, num_feat=8, num_block=2))
    network.load_state_dict(load_file(Path(__file__).with_name("tiny_teacher.safetensors")))
    return network.eval()


def edsr(config: EDSRConfig) -> SRNetwork:
    """Of random weights, the same at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FAMILY.build(config).eval()
