"""SwinIR checkpoints: what can be told from the tensors of official files, with or without their fixed buffers."""

from __future__ import annotations

import math

from torch import Tensor

from autocompress.errors import CheckpointError
from autocompress.networks import reading
from autocompress.networks.base import Weights
from autocompress.networks.reading import Shapes
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig, without_buffers

_TABLE = "layers.{}.residual_group.blocks.0.attn.relative_position_bias_table"


def read(tensors: Weights) -> tuple[SwinIRConfig, dict[str, Tensor]] | None:
    """Config and official weights from the tensors of a file, or None if they are no SwinIR; see `Family.read`."""
    if _TABLE.format(0) not in tensors or "patch_embed.norm.weight" not in tensors:
        return None
    weights = without_buffers(tensors)
    _refuse_other_kinds(weights)
    return reading.read(weights, "a SwinIR", _infer, SwinIR, _described)


def _described(config: SwinIRConfig) -> str:
    return f"of {config.embed_dim} channels, depths {list(config.depths)} and upsampler {config.upsampler}"


def _refuse_other_kinds(weights: Weights) -> None:
    """Raise CheckpointError for the variants of the official code that this package does not build."""
    if "conv_up1.weight" in weights:
        raise CheckpointError(
            "this SwinIR upsamples by nearest+conv (conv_up1.weight), as those for real-world images do, but only "
            "pixelshuffledirect and pixelshuffle are supported"
        )
    for key in ("layers.0.conv.0.weight", "conv_after_body.0.weight"):
        if key in weights:
            raise CheckpointError(
                f"this SwinIR has three convolutions after each residual block ({key}: resi_connection 3conv), but "
                "only one (1conv) is supported"
            )
    if "upsample.0.weight" not in weights:
        raise CheckpointError(
            "this SwinIR has no upsample.0.weight, as those for denoising and JPEG artefacts, but only "
            "super-resolution is supported"
        )


def _infer(shapes: Shapes) -> SwinIRConfig:
    dim, direct = shapes.features("conv_first.weight"), "conv_before_upsample.0.weight" not in shapes.weights
    blocks = range(shapes.count(r"layers\.(\d+)\."))
    positions = shapes.of(_TABLE.format(0), 2)[0]
    side = math.isqrt(positions)
    if side**2 != positions or side % 2 == 0:
        raise CheckpointError(f"{_TABLE.format(0)} has {positions} rows, but a window of w pixels a side has (2w-1)^2")
    return SwinIRConfig(
        scale=shapes.scale(3 if direct else shapes.of("upsample.0.weight", 4)[1]),
        embed_dim=dim,
        depths=tuple(shapes.count(rf"layers\.{block}\.residual_group\.blocks\.(\d+)\.") for block in blocks),
        num_heads=tuple(shapes.of(_TABLE.format(block), 2)[1] for block in blocks),
        window_size=(side + 1) // 2,
        mlp_ratio=_ratio(shapes.of("layers.0.residual_group.blocks.0.mlp.fc1.weight", 2)[0], dim),
        upsampler="pixelshuffledirect" if direct else "pixelshuffle",
    )


def _ratio(hidden: int, dim: int) -> float:
    """The ratio of which `int(dim * ratio)` is `hidden`, also where the division is rounded down."""
    ratio = hidden / dim
    return ratio if int(dim * ratio) == hidden else math.nextafter(ratio, math.inf)
