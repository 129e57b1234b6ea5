"""EDSR checkpoints: BasicSR's key names, EDSR-PyTorch's, and what can be told from the tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from autocompress.errors import CheckpointError
from autocompress.networks import reading
from autocompress.networks.base import Weights
from autocompress.networks.edsr.network import (
    EDSR,
    FOLDED,
    IMG_RANGE,
    MAX_LAYERS,
    OFFICIAL_LAYERS,
    PLAIN,
    EDSRConfig,
)
from autocompress.networks.folding import KERNEL
from autocompress.networks.known_network import RGB_MEAN
from autocompress.networks.reading import Shapes

_PYTORCH_TAIL = {"tail.0.0": "upsample.0", "tail.0.2": "upsample.2", "tail.1": "conv_last"}


def read(tensors: Weights) -> tuple[EDSRConfig, dict[str, Tensor]] | None:
    """Config and official weights from the tensors of a file, or None if they are no EDSR; see `Family.read`.

    `res_scale` is in no tensor: it is 1, or 0.1 for 256 features and 32 blocks.
    """
    foreign = is_of_edsr_pytorch(tensors)
    weights = _from_edsr_pytorch(tensors) if foreign else dict(tensors)
    if "conv_first.weight" not in weights or "body.0.conv1.weight" not in weights:
        return None
    num_layer = OFFICIAL_LAYERS if foreign else None
    return reading.read(weights, "an EDSR", lambda shapes: _infer(shapes, num_layer), EDSR, _described)


def is_of_edsr_pytorch(tensors: Weights) -> bool:
    """Whether the names are EDSR-PyTorch's; else they are BasicSR's."""
    return "head.0.weight" in tensors


def _described(config: EDSRConfig) -> str:
    layers = f" of {config.num_layer} convolutions" if config.num_layer != OFFICIAL_LAYERS else ""
    tail = f" with a {config.tail} tail" if config.tail != PLAIN else ""
    return f"of {config.num_feat} features and {config.num_block} blocks{layers}{tail}"


def _infer(shapes: Shapes, num_layer: int | None) -> EDSRConfig:
    num_feat = shapes.features("conv_first.weight")
    num_block = shapes.count(r"body\.(\d+)\.")
    if num_layer is None:  # as many as any block has, so that what another lacks is named as missing
        num_layer = min(MAX_LAYERS, max(shapes.indices(r"body\.\d+\.conv(\d+)\.")))
    kernel = shapes.of("upsample.0.weight", 4)[2:]
    tail = FOLDED if kernel == (KERNEL, KERNEL) and "conv_last.weight" not in shapes.weights else PLAIN
    scale = shapes.scale(3 if tail == FOLDED else num_feat)
    res_scale = 0.1 if (num_feat, num_block, num_layer) == (256, 32, OFFICIAL_LAYERS) else 1.0
    return EDSRConfig(scale, num_feat, num_block, num_layer, res_scale, tail)


def _from_edsr_pytorch(tensors: Weights) -> dict[str, Tensor]:
    """BasicSR's key names for a file of EDSR-PyTorch (`head`, `body`, `tail`, mean shifts as convolutions)."""
    last = max(0, Shapes(tensors, "an EDSR").count(r"body\.(\d+)\.") - 1)
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
