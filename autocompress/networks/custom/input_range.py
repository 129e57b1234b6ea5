"""Whether a network takes images in 0 to 1 or in 0 to 255: found by trying."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from autocompress.data.bicubic import upscale
from autocompress.data.embedded import embedded
from autocompress.errors import CheckpointError
from autocompress.networks.custom.network import CustomConfig, CustomNetwork

RANGES = (1.0, 255.0)
SIDE = 64  # LR pixels a side of the part of a photograph that is tried


def in_best_range(network: CustomNetwork) -> CustomNetwork:
    """The network with the range in which it upscales a photograph best.

    Raises CheckpointError where it is worse than bicubic in each: then it is fed wrongly, or not trained.
    """
    pair = embedded("valid", network.scale).read(0)
    lr, scale = pair.lr[:SIDE, :SIDE], network.scale
    hr = pair.hr[: lr.shape[0] * scale, : lr.shape[1] * scale]
    images = torch.from_numpy(np.ascontiguousarray(lr)).permute(2, 0, 1)[None].float() / 255
    found = {}
    for largest in RANGES:
        network.input_range = largest
        with torch.inference_mode():
            sr = network(images)[0].permute(1, 2, 0).clamp(0, 1).mul(255).round().numpy()
        found[largest] = _psnr(sr, hr)
    bicubic = _psnr(upscale(lr, scale), hr)
    best = max(found, key=lambda largest: found[largest])
    if not found[best] > bicubic:
        tried = ", ".join(f"{psnr:.1f} dB in 0 to {largest:g}" for largest, psnr in found.items())
        raise CheckpointError(
            f"the network is worse than bicubic ({bicubic:.1f} dB) on a photograph: {tried}; it is not trained, or fed "
            "wrongly (are its images RGB?); --input-range 1 or 255 takes it all the same"
        )
    assert isinstance(network.config, CustomConfig)
    network.config = replace(network.config, input_range=best)
    network.input_range = best
    return network


def _psnr(image: NDArray[Any], hr: NDArray[Any]) -> float:
    error = np.mean((image.astype(float) - hr.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
