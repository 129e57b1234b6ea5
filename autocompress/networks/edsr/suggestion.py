"""What the densities of a pruned EDSR suggest for its student: see `shrink.density` for the rule."""

from __future__ import annotations

from autocompress.networks.edsr.network import EDSRConfig
from autocompress.shrink.density import Densities, channels, joined, kept, within


def groups_of(layer: str) -> tuple[str, ...]:
    """The residual block that a layer such as `body.3.conv1` is in."""
    names = layer.split(".")
    return (".".join(names[:2]),) if names[0] == "body" else ()


def suggested_counts(config: EDSRConfig, layers: Densities) -> dict[str, int]:
    """`num_block`: the residual blocks that are not negligible; `num_feat` by the density of these, rounded, >= 1."""
    blocks = kept([f"body.{block}" for block in range(config.num_block)], layers)
    stays = joined(density for block in blocks for density in within(block, layers))
    return {"num_feat": max(1, round(channels(config.num_feat, stays))), "num_block": len(blocks)}
