"""Starts of Compact students of a teacher of another family, the shipped EDSR-baseline, and what training leaves.

    python benchmarks/compact_starts.py --train DIR --valid DIR [--test Set5=DIR ...] --log FILE [--every N] [--seeds N]
                                        [--steps 300]

All are trained alike, by the default recipe of a search. The starts: `random`, PyTorch's own; `last layer`, the same
with the last convolution fitted to the teacher by least squares; `linear`, convolutions that pass on what the first one
makes of the image, which slopes of 1 leave as it is, and the last fitted, so that the whole is the best linear
upsampler that it can be; and `layer by layer`, which `projection` gives (networks/compact/teaching.py).
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from functools import partial

import laboratory
import torch
from laboratory import Laboratory
from torch import nn

from autocompress import prune
from autocompress.distill.recipe import Recipe
from autocompress.networks import find_family
from autocompress.networks.base import SRNetwork
from autocompress.networks.compact import teaching
from autocompress.networks.compact.network import Compact, CompactConfig
from autocompress.progress import finished
from autocompress.shrink.least_squares import Pixels, refit, set_layer

SIZES = ((16, 4), (16, 8), (12, 14), (32, 8))  # features, convolutions
Start = Callable[[CompactConfig], Compact]


def main() -> None:
    options = parse()
    lab, family = Laboratory(options), find_family("compact")
    for seed in range(options.seeds):
        starts = Starts(lab, seed)
        for feat, conv in SIZES:
            config = CompactConfig(2, feat, conv)
            recipe = Recipe(steps=options.steps, seed=seed).of_student(family.params(config))
            for name, start in starts.by_name.items():
                key = {
                    "student": f"{feat}x{conv}",
                    "G": f"{family.flops(config) / 1e9:.2f}",
                    "start": name,
                    "seed": seed,
                }
                student = start(config)
                for steps in (0, options.steps):
                    lab.row(key | {"steps": steps}, partial(trained, lab, student, recipe, steps))
    lab.show(["steps", "student", "G", "start"])


def trained(lab: Laboratory, student: SRNetwork, recipe: Recipe, steps: int) -> SRNetwork:
    """A student by the whole recipe, or by none of it at 0 steps."""
    return lab.train(student, recipe, "edsr") if steps else student


class Starts:
    """Of one seed."""

    def __init__(self, lab: Laboratory, seed: int) -> None:
        self._seed = seed
        self._lr = prune.sample_patches(lab.bank, seed, lab.used).to(lab.used.device)
        analysis = teaching.analyse(lab.teacher("edsr"), self._lr, seed)
        self._at, self._missing = Pixels(*analysis["pixels"]), analysis["missing"]
        layer_by_layer = teaching.Start(self._lr, analysis)
        self.by_name: dict[str, Start] = {
            "random": self._random,
            "last layer": lambda config: self._with_last(self._random(config)),
            "linear": self._linear,
            "layer by layer": lambda config: finished(layer_by_layer.steps(config)),
        }

    def _random(self, config: CompactConfig) -> Compact:
        network = prune.from_scratch(find_family("compact"), config, self._seed).to(self._lr.device)
        assert isinstance(network, Compact)
        return network

    @torch.no_grad()
    def _with_last(self, network: Compact) -> Compact:
        """With its last convolution fitted to what the teacher's sub-pixels have beyond the image's."""
        last = network.body[-1]
        assert isinstance(last, nn.Conv2d)
        taps = self._at.taps(network.body[:-1](self._lr))
        fitted = refit(torch.zeros_like(last.weight), torch.zeros(len(last.weight)), taps, self._missing)
        set_layer(last, *fitted)
        return network

    @torch.no_grad()
    def _linear(self, config: CompactConfig) -> Compact:
        network = self._random(config)
        for index, (conv, activation) in enumerate(network.hidden):
            nn.init.ones_(activation.weight)
            if index:
                nn.init.dirac_(conv.weight)
                assert conv.bias is not None
                nn.init.zeros_(conv.bias)
        return self._with_last(network)


def parse() -> Namespace:
    parser = laboratory.parser(__doc__)
    parser.add_argument("--steps", type=int, default=300)
    return parser.parse_args()


if __name__ == "__main__":
    main()
