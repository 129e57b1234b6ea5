"""Making students of EDSRs, and how near they are to what is right."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from autocompress.data.embedded import embedded
from autocompress.data.sources import ImagePair
from autocompress.evaluation.metrics import psnr_y
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSR, EDSRConfig

Shrink = Callable[[EDSRConfig], EDSR]


@cache
def photograph(part: str, index: int) -> ImagePair:
    """An embedded photograph at x2."""
    return embedded("train" if part == "train" else "valid", 2).read(index)


def as_tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def photo_patches(count: int, size: int, seed: int = 0) -> Tensor:
    """LR patches (count, 3, size, size) of the embedded training photographs."""
    random = np.random.default_rng(seed)
    patches = []
    for index in range(count):
        image = photograph("train", index % len(embedded("train", 2))).lr
        y, x = random.integers(image.shape[0] - size + 1), random.integers(image.shape[1] - size + 1)
        patches.append(as_tensor(image[y : y + size, x : x + size]))
    return torch.cat(patches)


def random_teacher(scale: int, num_feat: int = 16, num_block: int = 4) -> EDSR:
    """A random network, with residual blocks strong enough to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(scale)
        network = EDSR(EDSRConfig(scale, num_feat, num_block))
    with torch.no_grad():
        for block in network.body:
            for parameter in block.parameters():
                parameter.mul_(2)
    return network.eval()


def shrinker(teacher: EDSR, lr: Tensor, init: str, seed: int = 0) -> Shrink:
    family = EDSRFamily()
    return family.shrinker(teacher, lr, init, family.analyse(teacher, lr, init, seed))


@torch.no_grad()
def largest_difference(a: EDSR, b: EDSR, lr: Tensor) -> float:
    return float((a(lr) - b(lr)).abs().max())


@torch.no_grad()
def psnr_between(a: EDSR, b: EDSR, lr: Tensor) -> float:
    return float(-10 * (a(lr) - b(lr)).square().mean().log10())


@torch.no_grad()
def psnr_on(network: EDSR, pair: ImagePair) -> float:
    sr = network(as_tensor(pair.lr)).clamp(0, 1)[0].permute(1, 2, 0)
    return psnr_y((sr * 255).round().to(torch.uint8).numpy(), pair.hr, network.scale)
