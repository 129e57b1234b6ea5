"""The numbers of the default recipe, each changed alone: students from their projection, after equal steps.

    python benchmarks/recipe_numbers.py --train DIR --valid DIR --test Set5=DIR --log FILE [--every 4] [--seeds 2]
        [--student edsr-8x4 edsr-16x8 edsr-32x8] [--steps 300] [--case recipe "batch 8"]

The first row of each student is the recipe as it is. Prints the mean and half the range over the seeds; the seconds are
those of start and training, so that what is bought with time is seen.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from laboratory import Laboratory, parser
from learners import STUDENTS, start

from autocompress.distill.recipe import Recipe
from autocompress.networks.base import SRNetwork

CASES: dict[str, dict[str, object]] = {
    "recipe": {},
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
        key = {"student": student, "case": case, "steps": options.steps, "seed": seed}
        laboratory.row(key, lambda key=key: trained(laboratory, **key))  # type: ignore[misc]
    laboratory.show(["student", "case", "steps"])


def trained(laboratory: Laboratory, student: str, case: str, steps: int, seed: int) -> SRNetwork:
    """A student after its training by the recipe with a case's changes."""
    changes = dict(CASES[case])
    recipe = Recipe(steps=steps * int(str(changes.pop("steps", 1))), seed=seed)
    return laboratory.train(
        start(laboratory, student, seed),
        replace(recipe, **changes),  # type: ignore[arg-type]
        STUDENTS[student][0],
    )


if __name__ == "__main__":
    main()
