"""The numbers of the default recipe, each changed alone: students from their projection, after equal steps.

    python benchmarks/recipe_numbers.py --train DIR --valid DIR --test Set5=DIR --log FILE [--every 4] [--seeds 2]
        [--student edsr-8x4 edsr-16x8 edsr-32x8] [--steps 300] [--case recipe "batch 8"]

The first row of each student is the recipe as it is. Prints the mean and half the range over the seeds; the seconds are
those of start and training, so that what is bought with time is seen.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import Any

from laboratory import Laboratory, Row, parser
from learners import STUDENTS, start

from autocompress.distill.recipe import Recipe
from autocompress.networks.base import SRNetwork

CASES: dict[str, dict[str, Any]] = {
    "recipe": {},
    "half the learning rate": {"rate": 0.5},  # times the recipe's, which goes by the student's size
    "a quarter of the learning rate": {"rate": 0.25},
    "twice the learning rate": {"rate": 2.0},
    "batch 8": {"batch_size": 8},
    "batch 32": {"batch_size": 32},
    "batch 8, twice the steps": {"batch_size": 8, "steps": 2},  # steps: times those of --steps
    "patch 24": {"patch_size": 24},
    "patch 48": {"patch_size": 48},
    "no warm-up": {"warmup": 0.0},
    "warm-up 10 %": {"warmup": 0.1},
    "EMA 0.99": {"ema": 0.99},
    "no EMA": {"ema": 0.0},
    "clip 0.1": {"clip": 0.1},
    "clip 10": {"clip": 10.0},
    "no teacher": {"teacher_share": 0.0},
    "three quarters teacher": {"teacher_share": 0.75},
    "all teacher": {"teacher_share": 1.0},
    "half MultiLap": {"teacher_loss": "multilap"},
}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--student", nargs="+", choices=STUDENTS, default=list(STUDENTS))
    made.add_argument("--steps", type=int, default=300)
    made.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    options = made.parse_args()
    laboratory = Laboratory(options)
    for student, case, seed in itertools.product(options.student, options.case, range(options.seeds)):
        key: Row = {"student": student, "case": case, "steps": options.steps, "seed": seed}
        laboratory.row(key, partial(trained, laboratory, **key))
    laboratory.show(["student", "case", "steps"])


def trained(laboratory: Laboratory, student: str, case: str, steps: int, seed: int) -> SRNetwork:
    """A student after its training by the recipe with a case's changes."""
    changes = dict(CASES[case])
    rate, longer = changes.pop("rate", 1.0), changes.pop("steps", 1)
    network = start(laboratory, student, seed)
    recipe = replace(Recipe(steps=int(steps * longer), seed=seed), **changes)
    recipe = recipe.of_student(sum(weights.numel() for weights in network.parameters()))
    assert recipe.learning_rate is not None
    recipe = replace(recipe, learning_rate=rate * recipe.learning_rate)
    return laboratory.train(network, recipe, STUDENTS[student][0])


if __name__ == "__main__":
    main()
