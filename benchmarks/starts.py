"""What each start gives, before training and after trainings of different lengths.

    python benchmarks/starts.py --train DIR --valid DIR --test Set5=DIR --log FILE [--student edsr-16x8] [--steps 0 100]

Students of both families, from projection (CASES has the share of the teacher), from projection without the teacher's
term, from projection on what stage one of the paper leaves most of instead of the best subspace (density), from copied
channels, from first-order Taylor importance and from scratch. Equal steps, batches and learning rates for all; the
rates were chosen on projected students. Each number of steps is a training with a cosine of its own.
Prints the mean and half the range over the seeds; the seconds are those of start and training. The first row of a start
and a seed has in its seconds what the start needs to know of the teacher: the analysis, or the pruning.
"""

from __future__ import annotations

import dataclasses
import itertools
from functools import partial
from typing import Any

from laboratory import Laboratory, Row, parser

from autocompress.distill.recipe import our_recipe
from autocompress.networks import find_family
from autocompress.networks.base import SRNetwork

STUDENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "edsr-8x4": ("edsr", {"num_feat": 8, "num_block": 4}),
    "edsr-16x8": ("edsr", {"num_feat": 16, "num_block": 8}),
    "edsr-32x8": ("edsr", {"num_feat": 32, "num_block": 8}),
    "swinir-24x3x4": ("swinir", {"embed_dim": 24, "num_block": 3, "depth": 4}),
    "swinir-36x4x4": ("swinir", {"embed_dim": 36, "num_block": 4, "depth": 4}),
    "swinir-12x1x1": ("swinir", {"embed_dim": 12, "num_block": 1, "depth": 1, "num_heads": 2, "mlp_ratio": 1.0}),
    "swinir-18x1x3": ("swinir", {"embed_dim": 18, "num_block": 1, "depth": 3, "num_heads": 2, "mlp_ratio": 1.5}),
    "swinir-30x1x5": ("swinir", {"embed_dim": 30, "num_block": 1, "depth": 5, "num_heads": 2, "mlp_ratio": 2.0}),
}
CASES = {  # name: start, share of the teacher in the loss
    "projection": ("projection", 0.5),
    "projection, truth only": ("projection", 0.0),
    "density": ("density", 0.5),
    "copy": ("copy", 0.5),
    "taylor": ("taylor", 0.5),
    "scratch": ("scratch", 0.5),
}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--student", nargs="+", choices=STUDENTS, default=list(STUDENTS))
    made.add_argument("--steps", nargs="+", type=int, default=[0, 100, 300, 600])
    made.add_argument("--start", nargs="+", choices=CASES, default=list(CASES))
    options = made.parse_args()
    laboratory = Laboratory(options)
    for name, case, steps, seed in itertools.product(
        options.student, options.start, options.steps, range(options.seeds)
    ):
        key: Row = {"student": name, "start": case, "steps": steps, "seed": seed}
        laboratory.row(key, partial(compute, laboratory, **key))
    laboratory.show(["student", "start", "steps"])


def compute(laboratory: Laboratory, student: str, start: str, steps: int, seed: int) -> SRNetwork:
    """A student after so many steps from this start."""
    (family, counts), (init, share) = STUDENTS[student], CASES[start]
    config = find_family(family).student_config(laboratory.teacher(family).config, counts)
    network = laboratory.shrinker(family, init, seed)(config)
    if steps == 0:
        return network
    return laboratory.train(network, dataclasses.replace(our_recipe(steps, seed), teacher_share=share), family)


if __name__ == "__main__":
    main()
