"""SwinIR checkpoints: what can be told from the tensors of official files, with or without their fixed buffers."""

from __future__ import annotations

import math
import re

from torch import Tensor

from autocompress.errors import CheckpointError, ConfigError
from autocompress.networks.base import Weights
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig, without_buffers
from autocompress.networks.weights import check_tensors

_TABLE = "layers.{}.residual_group.blocks.0.attn.relative_position_bias_table"


def read(tensors: Weights) -> tuple[SwinIRConfig, dict[str, Tensor]] | None:
    """Config and official weights from the tensors of a file, or None if they are no SwinIR; see `Family.read`."""
    if _TABLE.format(0) not in tensors or "patch_embed.norm.weight" not in tensors:
        return None
    weights = without_buffers(tensors)
    _refuse_other_kinds(weights)
    try:
        config = _infer(weights)
    except ConfigError as error:
        raise CheckpointError(f"this looks like a SwinIR, but its {error}") from None
    described = (
        f"a SwinIR of {config.embed_dim} channels, depths {list(config.depths)} and upsampler {config.upsampler} "
        f"at x{config.scale}"
    )
    check_tensors(lambda: SwinIR(config), weights, described)
    return config, weights


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
    channels = _shape(weights, "conv_first.weight", 4)[1]
    if channels != 3:
        raise CheckpointError(f"this SwinIR reads {channels}-channel images, but only RGB (3 channels) is supported")


def _infer(weights: Weights) -> SwinIRConfig:
    dim = _shape(weights, "conv_first.weight", 4)[0]
    direct = "conv_before_upsample.0.weight" not in weights
    last = max(int(match[1]) for key in weights if (match := re.match(r"layers\.(\d+)\.", key)))
    positions = _shape(weights, _TABLE.format(0), 2)[0]
    side = math.isqrt(positions)
    if side**2 != positions or side % 2 == 0:
        raise CheckpointError(f"{_TABLE.format(0)} has {positions} rows, but a window of w pixels a side has (2w-1)^2")
    hidden = _shape(weights, "layers.0.residual_group.blocks.0.mlp.fc1.weight", 2)[0]
    return SwinIRConfig(
        scale=_scale(weights, direct),
        embed_dim=dim,
        depths=tuple(_depth(weights, layer) for layer in range(last + 1)),
        num_heads=tuple(_shape(weights, _TABLE.format(layer), 2)[1] for layer in range(last + 1)),
        window_size=(side + 1) // 2,
        mlp_ratio=_ratio(hidden, dim),
        upsampler="pixelshuffledirect" if direct else "pixelshuffle",
    )


def _scale(weights: Weights, direct: bool) -> int:
    stages = [key for key in weights if re.fullmatch(r"upsample\.\d+\.weight", key)]
    outputs, inputs = _shape(weights, "upsample.0.weight", 4)[:2]
    factor: float = math.sqrt(outputs / (3 if direct else inputs))
    scale = factor ** len(stages)
    if scale not in (2, 3, 4):
        shapes = ", ".join(str(tuple(weights[key].shape)) for key in stages)
        raise CheckpointError(f"this SwinIR upsamples with convolutions of shape {shapes}, which is no x2, x3 or x4")
    return int(scale)


def _depth(weights: Weights, layer: int) -> int:
    pattern = rf"layers\.{layer}\.residual_group\.blocks\.(\d+)\."
    return 1 + max((int(match[1]) for key in weights if (match := re.match(pattern, key))), default=-1)


def _ratio(hidden: int, dim: int) -> float:
    """The ratio of which `int(dim * ratio)` is `hidden`, also where the division is rounded down."""
    ratio = hidden / dim
    return ratio if int(dim * ratio) == hidden else math.nextafter(ratio, math.inf)


def _shape(weights: Weights, key: str, dimensions: int) -> tuple[int, ...]:
    if key not in weights:
        raise CheckpointError(f"this looks like a SwinIR, but {key} is missing")
    shape = tuple(weights[key].shape)
    if len(shape) != dimensions:
        raise CheckpointError(f"{key} is {shape}, but a SwinIR's has {dimensions} dimensions")
    return shape
