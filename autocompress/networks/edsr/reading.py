"""EDSR checkpoints: BasicSR's key names, EDSR-PyTorch's, and what can be told from the tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import Tensor

from autocompress.errors import CheckpointError
from autocompress.networks.base import Weights
from autocompress.networks.edsr.network import (
    EDSR,
    FOLDED,
    IMG_RANGE,
    MAX_LAYERS,
    OFFICIAL_LAYERS,
    PLAIN,
    RGB_MEAN,
    EDSRConfig,
)
from autocompress.networks.folding import KERNEL
from autocompress.networks.weights import check_tensors

_PYTORCH_TAIL = {"tail.0.0": "upsample.0", "tail.0.2": "upsample.2", "tail.1": "conv_last"}


def read(tensors: Weights) -> tuple[EDSRConfig, dict[str, Tensor]] | None:
    """Config and official weights from the tensors of a file, or None if they are no EDSR; see `Family.read`.

    `res_scale` is in no tensor: it is 1, or 0.1 for 256 features and 32 blocks.
    """
    foreign = is_of_edsr_pytorch(tensors)
    weights = _from_edsr_pytorch(tensors) if foreign else dict(tensors)
    if "conv_first.weight" not in weights or "body.0.conv1.weight" not in weights:
        return None
    config = _infer(weights, OFFICIAL_LAYERS if foreign else _num_layer(weights))
    layers = f" of {config.num_layer} convolutions" if config.num_layer != OFFICIAL_LAYERS else ""
    tail = f" with a {config.tail} tail" if config.tail != PLAIN else ""
    described = f"an EDSR of {config.num_feat} features and {config.num_block} blocks{layers}{tail} at x{config.scale}"
    check_tensors(lambda: EDSR(config), weights, described)
    return config, weights


def is_of_edsr_pytorch(tensors: Weights) -> bool:
    """Whether the names are EDSR-PyTorch's; else they are BasicSR's."""
    return "head.0.weight" in tensors


def _num_layer(weights: Weights) -> int:
    """The convolutions in a block: as many as any has, so that what another lacks is named as missing."""
    return min(MAX_LAYERS, max(_indices(r"body\.\d+\.conv(\d+)\.", weights)))


def _infer(weights: Weights, num_layer: int) -> EDSRConfig:
    first = weights["conv_first.weight"].shape
    if len(first) != 4:
        raise CheckpointError(f"conv_first.weight is {tuple(first)}, but an EDSR's is (features, 3, 3, 3)")
    num_feat, channels = first[:2]
    if channels != 3:
        raise CheckpointError(f"this EDSR reads {channels}-channel images, but only RGB (3 channels) is supported")
    num_block = 1 + max(_indices(r"body\.(\d+)\.", weights))
    stages = sorted(_indices(r"upsample\.(\d+)\.weight", weights))
    if 0 not in stages:
        raise CheckpointError("this EDSR has no upsample.0.weight, but its scale is told by that")
    for stage in stages:
        shape = tuple(weights[f"upsample.{stage}.weight"].shape)
        if len(shape) != 4:
            raise CheckpointError(f"upsample.{stage}.weight is {shape}, but an EDSR's has 4 dimensions")
    upsample = weights["upsample.0.weight"].shape
    tail = FOLDED if upsample[2:] == (KERNEL, KERNEL) and "conv_last.weight" not in weights else PLAIN
    factor = (upsample[0] / (3 if tail == FOLDED else num_feat)) ** 0.5
    scale = factor ** len(stages)
    if scale not in (2, 3, 4):
        shapes = ", ".join(str(tuple(weights[f"upsample.{i}.weight"].shape)) for i in stages)
        raise CheckpointError(f"this EDSR upsamples with convolutions of shape {shapes}, which is no x2, x3 or x4")
    res_scale = 0.1 if (num_feat, num_block, num_layer) == (256, 32, OFFICIAL_LAYERS) else 1.0
    return EDSRConfig(int(scale), num_feat, num_block, num_layer, res_scale, tail)


def _indices(pattern: str, keys: Iterable[str]) -> set[int]:
    return {int(match[1]) for key in keys if (match := re.match(pattern, key))}


def _from_edsr_pytorch(tensors: Weights) -> dict[str, Tensor]:
    """BasicSR's key names for a file of EDSR-PyTorch (`head`, `body`, `tail`, mean shifts as convolutions)."""
    last = max(_indices(r"body\.(\d+)\.", tensors), default=0)
    renamed = {"head.0": "conv_first", f"body.{last}": "conv_after_body"} | _PYTORCH_TAIL
    for block in range(last):
        renamed |= {f"body.{block}.body.0": f"body.{block}.conv1", f"body.{block}.body.2": f"body.{block}.conv2"}
    weights = {}
    for key, value in tensors.items():
        module, _, leaf = key.rpartition(".")
        if module in ("sub_mean", "add_mean"):
            _check_mean_shift(key, value)
        else:
            weights[f"{renamed.get(module, module)}.{leaf}"] = value
    return weights


def _check_mean_shift(key: str, value: Tensor) -> None:
    sign = -1 if key.startswith("sub_mean") else 1
    mean = sign * IMG_RANGE * torch.tensor(RGB_MEAN)
    expected = mean if key.endswith("bias") else torch.eye(3).view(3, 3, 1, 1)
    if value.shape != expected.shape or not torch.allclose(value.float(), expected, atol=1e-2):
        shift = [round(number, 3) for number in value.flatten().tolist()]
        raise CheckpointError(
            f"{key} is {shift}, but only DIV2K's mean shift (rgb_range 255, mean {RGB_MEAN}, std 1) is supported"
        )
