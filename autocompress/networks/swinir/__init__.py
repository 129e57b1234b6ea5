"""The SwinIR family: all that is particular to it stands in this folder, and only `registry` names it.

`SwinIRFamily` declares what networks.base.Family asks of a family; `network` is the config and the network, `reading`
knows foreign files, and `windows` has the attention pattern; students are the engine's. It may import `networks` (base,
known_family, known_network, weights, recipes), `shrink` and what is below them, and no other family.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from typing_extensions import override

from autocompress.networks.base import Config, Count, Weights, narrowed
from autocompress.networks.known_family import KnownFamily
from autocompress.networks.recipes import FamilyRecipe, PaperNumbers
from autocompress.networks.swinir import reading
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig
from autocompress.shrink.density import Densities, channels, joined, kept, within

LAYERS = "residual_group.blocks"  # of transformer layers, in each residual block


class SwinIRFamily(KnownFamily):
    """Residual blocks of transformer layers, which attend within windows, on one stream that is only added to."""

    name = "swinir"
    config_class = SwinIRConfig
    network_class = SwinIR
    counts = (
        Count("embed_dim", 1, "channels"),
        Count("num_block", 1, "residual blocks"),
        Count("depth", 1, "layers per block"),
        Count("num_heads", 1, "heads"),
        Count("mlp_ratio", 1, "times the channels in an MLP", whole=False),
    )

    # Pruning diverged at a rate of 0.5. Of the teacher's weights 0.1 % are larger than the paper's whole pull, 0.25.
    recipe = FamilyRecipe(paper=PaperNumbers(patch_size=64, halve_at=(250_000, 400_000, 450_000), prune_steps=500_000))

    @override
    def read(self, tensors: Weights) -> tuple[Config, dict[str, Tensor]] | None:
        return reading.read(tensors)

    @override
    def counts_of(self, config: Config) -> dict[str, float]:
        """Where residual blocks differ, the smallest depth and number of heads."""
        swinir = narrowed(SwinIRConfig, config)
        return {
            "embed_dim": swinir.embed_dim,
            "num_block": len(swinir.depths),
            "depth": min(swinir.depths),
            "num_heads": min(swinir.num_heads),
            "mlp_ratio": swinir.mlp_ratio,
        }

    @override
    def student_config(self, teacher: Config, fields: Mapping[str, Any]) -> Config:
        """A student's residual blocks are alike, unless their counts are not given."""
        given, counts = dict(fields), self.counts_of(teacher)
        if given.keys() & {"num_block", "depth", "num_heads"}:
            num_block, depth, heads = (given.pop(key, counts[key]) for key in ("num_block", "depth", "num_heads"))
            given |= {"depths": (depth,) * num_block, "num_heads": (heads,) * num_block}
        return super().student_config(teacher, given)

    @override
    def suggested_counts(self, teacher: Config, layers: Densities) -> dict[str, float]:
        """`num_block`: the residual blocks that are not negligible; `depth`: the mean number of transformer layers in
        them that are not; `embed_dim` by the density of these layers and the blocks' convolutions.

        A student's blocks are alike, so `depth` is rounded (and at most the smallest of the teacher's), and `embed_dim`
        is the nearest multiple of the number of heads, which stays; at least one channel a head.
        """
        config = narrowed(SwinIRConfig, teacher)
        paths = [
            [f"layers.{block}.{LAYERS}.{layer}" for layer in range(depth)] for block, depth in enumerate(config.depths)
        ]
        blocks = kept([within(layers, f"layers.{block}") for block in range(len(paths))])
        flat = [path for inner in paths for path in inner]
        needed = {flat[index] for index in kept([within(layers, path) for path in flat])}
        staying = [path for block in blocks for path in paths[block] if path in needed]
        stays = joined(within(layers, *staying, *(f"layers.{block}.conv" for block in blocks)))
        heads = min(config.num_heads)
        return {
            "embed_dim": heads * max(1, round(channels(config.embed_dim, stays) / heads)),
            "num_block": len(blocks),
            "depth": min(*config.depths, max(1, round(len(staying) / len(blocks)))),
            "num_heads": heads,
        }
