"""The SwinIR family: all that is particular to it stands in this folder, and only `registry` names it.

`SwinIRFamily` declares what networks.base.Family asks of a family; `network` is the config and the network, `reading`
knows foreign files, and `windows` has the attention pattern; students are the engine's. It may import `networks` (base,
known_family, weights, recipes), `shrink` and what is below them, and no other family.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor
from typing_extensions import override

from autocompress.io import package_files
from autocompress.networks.base import Config, Count, SRNetwork, Weights
from autocompress.networks.known_family import KnownFamily
from autocompress.networks.layers import Layer
from autocompress.networks.recipes import FamilyRecipe, PaperNumbers
from autocompress.networks.swinir import reading
from autocompress.networks.swinir.network import NUM_FEAT, SwinIR, SwinIRConfig, layers
from autocompress.networks.swinir.windows import OFFICIAL_SEPARATED, edge_masks, position_index, shift_mask
from autocompress.networks.tails import fold_tail
from autocompress.shrink.density import Densities, channels, joined, kept, within

LAYERS = "residual_group.blocks"  # of transformer layers, in each residual block
OFFICIAL_WINDOWS = {"pixelshuffledirect": 8, "pixelshuffle": 6}  # a side of the training patches: img_size 64 and 48


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
    # Of Jiang et al. 2024 (arXiv 2401.00523), as released.
    presets = MappingProxyType(
        {name: SwinIRConfig.from_dict(fields) for name, fields in package_files.presets("swinir").items()}
    )

    @override
    def layers(self, config: Config) -> list[Layer]:
        return layers(_swinir(config))

    @override
    def program_layers(self, config: Config) -> list[Layer]:
        return layers(_swinir(config), folded=True)

    @override
    def read(self, tensors: Weights) -> tuple[Config, dict[str, Tensor]] | None:
        return reading.read(tensors)

    @override
    def for_programs(self, network: SRNetwork) -> SRNetwork:
        """Where the upsampling is not direct, with one convolution behind the last activation."""
        plain = self.for_export(network)
        assert isinstance(plain, SwinIR)
        if not plain.config.direct:
            fold_tail(plain, NUM_FEAT, plain.scale)
        return plain

    @override
    def official_tensors(self, network: SRNetwork) -> dict[str, Tensor]:
        """With the buffers that the official code stores: positions, and masks for the size of its training patches."""
        assert isinstance(network, SwinIR)
        config, tensors = network.config, super().official_tensors(network)
        side = OFFICIAL_WINDOWS[config.upsampler]
        mask = shift_mask(edge_masks(config.window_size, OFFICIAL_SEPARATED), side, side)
        for layer, depth in enumerate(config.depths):
            for block in range(depth):
                prefix = f"layers.{layer}.residual_group.blocks.{block}"
                tensors[f"{prefix}.attn.relative_position_index"] = position_index(config.window_size)
                if block % 2:
                    tensors[f"{prefix}.attn_mask"] = mask
        return tensors

    @override
    def official_code(self, config: Config) -> tuple[str, str] | None:
        """Of models/network_swinir.py in github.com/JingyunLiang/SwinIR."""
        swinir = _swinir(config)
        window = swinir.window_size
        fields = {
            "upscale": swinir.scale,
            "img_size": OFFICIAL_WINDOWS[swinir.upsampler] * window,
            "window_size": window,
            "img_range": 1.0,
            "depths": list(swinir.depths),
            "embed_dim": swinir.embed_dim,
            "num_heads": list(swinir.num_heads),
            "mlp_ratio": swinir.mlp_ratio,
            "upsampler": swinir.upsampler,
        }
        lines = "".join(f"    {name}={value!r},\n" for name, value in fields.items())
        return "from models.network_swinir import SwinIR  # of github.com/JingyunLiang/SwinIR", (
            f"network = SwinIR(\n{lines})"
        )

    @override
    def counts_of(self, config: Config) -> dict[str, float]:
        """Where residual blocks differ, the smallest depth and number of heads."""
        swinir = _swinir(config)
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
        config = _swinir(teacher)
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


def _swinir(config: Config) -> SwinIRConfig:
    assert isinstance(config, SwinIRConfig)
    return config
