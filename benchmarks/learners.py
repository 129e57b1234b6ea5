"""Adam against SOAP: students from their projection, after equal steps on equal images, and what a step costs.

    python benchmarks/learners.py --train DIR --valid DIR --test Set5=DIR --log FILE [--every 4] [--student edsr-16x8]
        [--steps 100 300 1000] [--rate 0.5 1 2]

Each learner has the learning rate that the recipe gives a student of this size, times each --rate. Prints the mean and
half the range over the seeds; the seconds are those of start and training, of the processor where there is no GPU. Then
milliseconds of a step of each student by either learner, measured in turn.
"""

from __future__ import annotations

import itertools
import statistics
from dataclasses import replace
from functools import partial

from laboratory import TEACHERS, Laboratory, Row, parser

from autocompress.data.patches import PatchSampler
from autocompress.distill.optimizers import OPTIMIZERS
from autocompress.distill.recipe import Recipe
from autocompress.distill.training import Training
from autocompress.networks import find_family
from autocompress.networks.base import SRNetwork

STUDENTS: dict[str, tuple[str, dict[str, float]]] = {
    "edsr-8x4": ("edsr", {"num_feat": 8, "num_block": 4}),
    "edsr-16x8": ("edsr", {"num_feat": 16, "num_block": 8}),
    "edsr-32x8": ("edsr", {"num_feat": 32, "num_block": 8}),
    "swinir-12x2x5": (
        "swinir",
        {"embed_dim": 12, "num_block": 2, "depth": 5, "num_heads": 6, "mlp_ratio": 2.0},
    ),
    "swinirmini": (
        "swinir",
        {"embed_dim": 24, "num_block": 3, "depth": 4, "num_heads": 6, "mlp_ratio": 2.0},
    ),
}
ROUNDS, STEPS = 8, 10  # of each learner's steps that are timed in turn


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--student", nargs="+", choices=STUDENTS, default=list(STUDENTS))
    made.add_argument("--steps", nargs="+", type=int, default=[100, 300, 1000])
    made.add_argument("--rate", nargs="+", type=float, default=[1.0], help="times the recipe's learning rate")
    options = made.parse_args()
    laboratory = Laboratory(options)
    for family in TEACHERS:
        key: Row = {"student": f"{family} teacher", "learner": "", "rate": "", "steps": 0, "seed": 0}
        laboratory.row(key, partial(laboratory.teacher, family))
    cases = itertools.product(options.student, options.steps, options.rate, range(options.seeds), OPTIMIZERS)
    for student, steps, rate, seed, learner in cases:
        key = {"student": student, "learner": learner, "rate": rate, "steps": steps, "seed": seed}
        laboratory.row(key, partial(trained, laboratory, **key))
    laboratory.show(["student", "learner", "rate", "steps"])
    print("\n| student | Adam, ms a step | SOAP, ms a step | ratio |\n|---|---|---|---|")
    for student in options.student:
        adam, soap = step_times(laboratory, student)
        print(f"| {student} | {adam:.1f} | {soap:.1f} | {soap / adam:.2f} |")


def start(laboratory: Laboratory, student: str, seed: int) -> SRNetwork:
    """A student before training."""
    name, counts = STUDENTS[student]
    config = find_family(name).student_config(laboratory.teacher(name).config, counts)
    return laboratory.shrinker(name, "projection", seed)(config)


def trained(laboratory: Laboratory, student: str, learner: str, rate: float, steps: int, seed: int) -> SRNetwork:
    """A student after its training."""
    network = start(laboratory, student, seed)
    recipe = Recipe(steps=steps, optimizer=learner, seed=seed).of_student(sum(p.numel() for p in network.parameters()))
    assert recipe.learning_rate is not None
    return laboratory.train(network, replace(recipe, learning_rate=rate * recipe.learning_rate), STUDENTS[student][0])


def step_times(laboratory: Laboratory, student: str) -> tuple[float, float]:
    """Milliseconds of a step by Adam and by SOAP: medians over rounds in which they take turns."""
    network, family = start(laboratory, student, 0), STUDENTS[student][0]
    trainings = []
    for learner in ("adam", "soap"):
        recipe = Recipe(steps=10**6, optimizer=learner)
        sampler = PatchSampler(
            laboratory.on_device,
            patch_size=recipe.patch_size,
            batch_size=recipe.batch_size,
            seed=0,
            targets={"teacher": laboratory.targets(family)},
            device=laboratory.used.device,
            memory_format=laboratory.used.memory_format,
        )
        trainings.append(Training(network, sampler, recipe, laboratory.used))
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for training, seconds in zip(trainings, times, strict=True):
            begun = laboratory.clock()
            training.run_to(training.step + STEPS)
            seconds.append((laboratory.clock() - begun) / STEPS)
    adam, soap = (1000 * statistics.median(seconds[1:]) for seconds in times)
    return adam, soap


if __name__ == "__main__":
    main()
