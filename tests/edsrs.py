"""EDSRs of several sizes, and weights for them."""

import torch
from hypothesis import strategies as st
from torch import Tensor

from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSRConfig

FAMILY = EDSRFamily()
GOLDEN = ["edsr_x2_f16_b4", "edsr_x3_f8_b2", "edsr_x4_f16_b3_res0.1", "edsr_pytorch_keys_x2_f16_b4"]

configs = st.builds(
    EDSRConfig,
    scale=st.sampled_from([2, 3, 4]),
    num_feat=st.integers(1, 9),
    num_block=st.integers(1, 4),
    num_layer=st.integers(1, 3),
)


def weights(scale: int = 2, num_feat: int = 6, num_block: int = 2, num_layer: int = 2) -> dict[str, Tensor]:
    """Random ones, the same at every call."""
    torch.manual_seed(0)
    return dict(FAMILY.build(EDSRConfig(scale, num_feat, num_block, num_layer)).state_dict())
