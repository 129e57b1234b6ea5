"""What the densities of a pruned SwinIR suggest for its student: see `shrink.density` for the rule."""

from __future__ import annotations

from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.shrink.density import Densities, Density, channels, joined, kept, within


def groups_of(layer: str) -> tuple[str, ...]:
    """The residual block, and the transformer layer within, of a layer such as
    `layers.0.residual_group.blocks.2.mlp.fc1`.
    """
    names = layer.split(".")
    if names[0] != "layers":
        return ()
    block = ".".join(names[:2])
    return (block, ".".join(names[:5])) if names[2] == "residual_group" else (block,)


def suggested_counts(config: SwinIRConfig, layers: Densities) -> dict[str, int]:
    """`num_block`: the residual blocks that are not negligible; `depth`: the mean number of transformer layers in them
    that are not; `embed_dim` by the density of these layers and the blocks' convolutions.

    A student's blocks are alike, so `depth` is rounded (and at most the smallest of the teacher's), and `embed_dim` is
    the nearest multiple of the number of heads, which stays; at least one channel a head.
    """
    blocks = kept([f"layers.{block}" for block in range(len(config.depths))], layers)
    parts = {
        f"layers.{block}": [f"layers.{block}.residual_group.blocks.{layer}" for layer in range(depth)]
        for block, depth in enumerate(config.depths)
    }
    needed = kept([part for layer_parts in parts.values() for part in layer_parts], layers)
    staying = [part for block in blocks for part in parts[block] if part in needed]
    stays = joined(density for part in staying + [f"{b}.conv" for b in blocks] for density in _of(part, layers))
    heads = min(config.num_heads)
    return {
        "embed_dim": heads * max(1, round(channels(config.embed_dim, stays) / heads)),
        "num_block": len(blocks),
        "depth": min(*config.depths, max(1, round(len(staying) / len(blocks)))),
        "num_heads": heads,
    }


def _of(part: str, layers: Densities) -> list[Density]:
    return [layers[part]] if part in layers else within(part, layers)
