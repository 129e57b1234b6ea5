"""Small networks that anybody can download, as they scored by our own evaluation: what a front has to stand beside.

They belong to no family. The numbers and where the weights come from stand in downloadable.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Downloadable:
    """A network at x2: FLOPs for 1280x720, and the mean PSNR-Y in dB of each set of images it was run on.

    `source` is where its authors publish the weights.
    """

    name: str
    flops: int
    params: int
    psnr_y: Mapping[str, float]
    source: str


@cache
def downloadable() -> tuple[Downloadable, ...]:
    """All that are known, by their FLOPs."""
    content = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return tuple(sorted((Downloadable(**network) for network in content["networks"]), key=lambda each: each.flops))
