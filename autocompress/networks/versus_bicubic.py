"""Whether a network upscales better than bicubic: one that does not is untrained, or fed wrongly."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from autocompress.data.bicubic import upscale
from autocompress.data.sources import ImagePair
from autocompress.networks.base import SRNetwork
from autocompress.units import decibels

SIDE = 64  # LR pixels a side of the middle of an image that is tried
BORDER = 4  # LR pixels that are left out at each side of it: what a network pads with is seen there
# mean squared error, in levels, below which errors are alike: rounding makes as much. Of a place of one colour, which
# bicubic reproduces without any, the mean over images would say nothing else.
ERROR_FLOOR = 1.0


@dataclass(frozen=True)
class VersusBicubic:
    """Mean PSNR in dB, on RGB, of a network and of bicubic, in the middle of some images; up to 48.13 for each."""

    network: float
    bicubic: float

    @property
    def weak(self) -> bool:
        """Whether the network is worse; also where its outputs are not numbers."""
        return not self.network >= self.bicubic

    @property
    def explained(self) -> str:
        """Both numbers, and what is to be looked at where the network is weak."""
        found = f"{decibels(self.network)} dB" if math.isfinite(self.network) else "outputs that are no finite numbers"
        return (
            f"{found} where bicubic has {decibels(self.bicubic)} dB, so it is not trained, or fed "
            "wrongly: check the range of its images (0 to 1 or 0 to 255), the order of their channels (RGB), and "
            "--res-scale"
        )


def versus_bicubic(network: SRNetwork, pairs: Iterable[ImagePair]) -> VersusBicubic:
    """Compare a network, in eval mode, with bicubic in the middle of each pair of images."""
    scale, of_network, of_bicubic = network.scale, [], []
    device = next(network.parameters()).device
    for pair in pairs:
        top, left = (max(0, (size - SIDE) // 2) for size in pair.lr.shape[:2])
        lr = np.ascontiguousarray(pair.lr[top : top + SIDE, left : left + SIDE])
        hr = pair.hr[top * scale :, left * scale :][: lr.shape[0] * scale, : lr.shape[1] * scale]
        image = torch.from_numpy(lr).to(device).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            sr = network(image)[0].float().permute(1, 2, 0).clamp(0, 1).mul(255).round().cpu().numpy()
        border = min(BORDER, min(lr.shape[:2]) // 4)
        inside = tuple(slice(border * scale, (size - border) * scale) for size in lr.shape[:2])
        of_network.append(_psnr(sr[inside], hr[inside]))
        of_bicubic.append(_psnr(upscale(lr, scale)[inside], hr[inside]))
    return VersusBicubic(float(np.mean(of_network)), float(np.mean(of_bicubic)))


def _psnr(image: NDArray[np.floating] | NDArray[np.uint8], hr: NDArray[np.uint8]) -> float:
    error = np.mean((image.astype(float) - hr.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / np.maximum(error, ERROR_FLOOR)))
