"""Students that keep half of each axis of a published network, before any training."""

from pathlib import Path
from typing import Any

import pytest
from helpers import sr_networks

from autocompress import load, prune
from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.folders import open_folder
from autocompress.evaluation import scores
from autocompress.networks import family_of
from autocompress.networks.base import SRNetwork
from autocompress.networks.upscaling import network_upscaler

PUBLISHED: dict[str, tuple[str, list[str], dict[str, Any]]] = {  # its file, arguments and a student's counts
    "RLFN": ("rlfn_x2.pth", ["upscale=2"], {"feature_channels": 26, "esa_channels": 8}),
    "IMDN": ("IMDN_x2.pth", ["upscale=2"], {"nf": 32}),
    "SMFANet": (
        "SMFANet_plus_DIV2K_100w_x2SR.pth",
        ["dim=48", "n_blocks=12", "upscaling_factor=2"],
        {"dim": 24},
    ),
}
SHIPPED: dict[str, dict[str, Any]] = {
    "edsr-baseline-x2": {"num_feat": 32},
    "swinir-s-x2": {"embed_dim": 30},
}


def published(name: str, weights: Path) -> SRNetwork:
    file, arguments, _ = PUBLISHED[name]
    return load(weights / file, code=f"{sr_networks.__file__}:{name}", set=arguments)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PUBLISHED, *SHIPPED])
def test_they_start_above_bicubic_on_every_image(name: str, shared: Path) -> None:
    teacher = load(name) if name in SHIPPED else published(name, shared / "weights")
    counts = SHIPPED[name] if name in SHIPPED else PUBLISHED[name][2]
    photographs = open_folder(shared / "data" / "train", 2, min_size=128).subset(range(0, 310, 8))
    patches = prune.sample_patches(PixelBank.open(photographs), 0, Precision(channels_last=True))
    family = family_of(teacher)
    student = prune.shrinker(teacher, patches)(family.student_config(teacher.config, counts))
    images = list(scores.pairs(open_folder(shared / "data" / "valid", 2, min_size=32)))
    upscalers = network_upscaler(student), scores.bicubic_upscaler(2)
    ours, bicubic = (scores.evaluate(each, images, 2, ["psnr_y"]).by_image("psnr_y") for each in upscalers)
    assert len(ours) == 10
    assert {image for image, score in ours.items() if score <= bicubic[image]} == set()
