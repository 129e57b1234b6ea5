"""Networks with a name of their own: their family and config."""

from __future__ import annotations

from autocompress.networks.base import Config
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.networks.swinir.network import SwinIRConfig

# The students of Jiang et al. 2024 (arXiv 2401.00523), as released; EDSRmini has a residual scaling of 2 there.
PRESETS: dict[str, tuple[str, Config]] = {
    "edsrmini": ("edsr", EDSRConfig(2, num_feat=16, num_block=8, res_scale=2.0)),
    "swinirmini": ("swinir", SwinIRConfig(2, embed_dim=24, depths=(4, 4, 4), num_heads=(6, 6, 6))),
}
