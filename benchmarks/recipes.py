"""The paper's distillation against ours, for the paper's two students, at equal steps on equal images.

    python benchmarks/recipes.py --train DIR --valid DIR --test Set5=DIR --log FILE [--steps 3000] [--preset edsrmini]

The paper trains from scratch with MultiLap to the teacher and 0.1 of L1 to the truth, at 1e-4; its 800,000 steps are
shortened here, the halvings of its learning rate in proportion, so a row with its loss at our learning rate stands
beside it. The controls: scratch, no teacher, and each difference alone. Other terms for the teacher follow.
Prints the mean and half the range over the seeds; the seconds are those of start and training.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import Any

from laboratory import TEACHERS, Laboratory, Row, parser

from autocompress.distill.recipe import Recipe, our_recipe, paper_recipe
from autocompress.networks import PRESETS, find_family
from autocompress.networks.base import SRNetwork
from autocompress.prune import from_scratch

PAPER_SHARE = 1 / 1.1
CASES: dict[str, tuple[str, dict[str, Any] | None]] = {  # start, and what differs from our recipe; None: the paper's
    "paper: scratch, its loss and rates": ("scratch", None),
    "scratch, its loss, our rates": ("scratch", {"teacher_loss": "multilap", "teacher_share": PAPER_SHARE}),
    "scratch, ours": ("scratch", {}),
    "scratch, ours without a teacher": ("scratch", {"teacher_share": 0.0}),
    "projection, its loss and rates": ("projection", None),
    "projection, its loss, our rates": ("projection", {"teacher_loss": "multilap", "teacher_share": PAPER_SHARE}),
    "projection, ours without a teacher": ("projection", {"teacher_share": 0.0}),
    "ours: projection, L1": ("projection", {}),
    "projection, Charbonnier": ("projection", {"teacher_loss": "charbonnier"}),
    "projection, MultiLap": ("projection", {"teacher_loss": "multilap"}),
    "projection, all L1 to the teacher": ("projection", {"teacher_share": 1.0}),
    "ours, taught by the other family": ("projection", {}),
}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--preset", nargs="+", choices=PRESETS, default=list(PRESETS))
    made.add_argument("--steps", type=int, default=3000)
    made.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    options = made.parse_args()
    laboratory = Laboratory(options)
    for family in TEACHERS:
        key: Row = {"student": f"{family} teacher", "recipe": "", "steps": 0, "seed": 0}
        laboratory.row(key, partial(laboratory.teacher, family))
    for preset, seed, case in itertools.product(options.preset, range(options.seeds), options.case):
        key = {"student": preset, "recipe": case, "steps": options.steps, "seed": seed}
        laboratory.row(key, partial(compute, laboratory, **key))
    laboratory.show(["student", "recipe", "steps"])


def compute(laboratory: Laboratory, student: str, recipe: str, steps: int, seed: int) -> SRNetwork:
    """A preset's student by one of the cases."""
    (name, preset), (init, changes) = PRESETS[student], CASES[recipe]
    family = find_family(name)
    if init == "scratch":
        network = from_scratch(family, preset, seed)
    else:
        config = family.student_config(laboratory.teacher(name).config, family.counts_of(preset))
        network = laboratory.shrinker(name, init, seed)(config)
    plan: Recipe = paper_recipe(name, steps, seed) if changes is None else our_recipe(steps, seed)
    plan = replace(plan, **(changes or {}))
    (other,) = TEACHERS.keys() - {name}
    return laboratory.train(network, plan, other if "other family" in recipe else name)


if __name__ == "__main__":
    main()
