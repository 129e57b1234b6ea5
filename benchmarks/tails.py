"""EDSR's tail as it is and as one convolution: what students with either are worth, and how long they take.

    python benchmarks/tails.py --train DIR --valid DIR [--test Set5=DIR ...] --log FILE [--every N] [--seeds N]
                               [--steps 300] [--latency]

Students of the shipped EDSR-baseline by projection, trained by the default recipe of a search, all alike, of each size
of SIZES: with the plain tail (upsample, PixelShuffle, conv_last), and with the folded one (one 5x5 convolution,
PixelShuffle). Prints their scores untrained (0 steps) and trained. With --latency instead the milliseconds of one
1280x720 output on one thread, for students of TIMED: by PyTorch with either tail, and by ONNX Runtime for three files:
of the plain student as it is, of the same with its tail folded (which `export` writes, and which computes the same at
the border, too), and of the student with a folded tail. Needs a quiet machine.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path

import laboratory
import numpy as np
import torch
from laboratory import Laboratory

from autocompress.distill.recipe import Recipe
from autocompress.evaluation.latency import LIMIT, repeated, this_machine, timed
from autocompress.export.onnx_files import converted, write_onnx
from autocompress.networks import find_family
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr.network import FOLDED, TAILS, EDSRConfig

SIZES = ((8, 1), (8, 8), (12, 8), (12, 16), (16, 8), (16, 15), (32, 8))  # features, blocks
TIMED = ((8, 1), (12, 16), (16, 15))


def main() -> None:
    options = parse()
    if options.latency:
        time_all()
        return
    lab, family = Laboratory(options), find_family("edsr")
    for seed in range(options.seeds):
        for feat, block in SIZES:
            for tail in TAILS:
                config = EDSRConfig(2, feat, block, tail=tail)
                recipe = Recipe(steps=options.steps, seed=seed).of_student(family.params(config))
                key = {
                    "student": f"{feat}x{block}",
                    "tail": tail,
                    "G": f"{family.flops(config) / 1e9:.2f}",
                    "params": family.params(config),
                    "seed": seed,
                }
                start = lab.shrinker("edsr", "projection", seed)(config)
                for steps in (0, options.steps):
                    lab.row(key | {"steps": steps}, partial(trained, lab, start, recipe, steps))
    lab.show(["steps", "student", "tail", "G", "params"])


def trained(lab: Laboratory, start: SRNetwork, recipe: Recipe, steps: int) -> SRNetwork:
    """A student by the whole recipe, or by none of it at 0 steps."""
    return lab.train(start, recipe, "edsr") if steps else start


def time_all() -> None:
    family, machine = find_family("edsr"), this_machine(threads=1, device="cpu")
    print(f"{machine}\n\n| student | PyTorch plain | folded | ONNX as it is | export | folded |\n|{'---|' * 6}")
    for feat, block in TIMED:
        plain = family.build(EDSRConfig(2, feat, block)).eval()
        folded = family.build(EDSRConfig(2, feat, block, tail=FOLDED)).eval()
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder, f"{name}.onnx") for name in ("as-it-is", "export", "folded")]
            files[0].write_bytes(converted(plain, plain))
            write_onnx(plain, files[1])
            write_onnx(folded, files[2])
            found = [timed(network, machine).median for network in (plain, folded)]
            found += [1000 * float(np.median(repeated(runner(file), LIMIT))) for file in files]
        print(f"| {feat}x{block} | " + " | ".join(f"{each:.0f}" for each in found) + " |", flush=True)


def runner(file: Path) -> Callable[[], object]:
    """What runs an ONNX file once, on one thread, for 1280x720."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])
    lr = torch.rand(1, 3, 360, 640).numpy()
    return lambda: session.run(None, {"lr": lr})


def parse() -> Namespace:
    parser = laboratory.parser(__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--latency", action="store_true", help="time networks instead")
    return parser.parse_args()


if __name__ == "__main__":
    main()
