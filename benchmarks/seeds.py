"""How far PSNR-Y differs when the same student is trained with another seed, on the default images.

    python benchmarks/seeds.py --log FILE [--student edsr-16x8 ...] [--seeds 5] [--steps 300]

A seed chooses the patches that a student sees; its start is the same. Prints for each student the standard deviation
over the seeds of the mean PSNR-Y on the default validation images, and that of all students together (the root of the
mean variance), which is `TYPICAL_SPREAD` in search/results/intervals.py. Beside them stands the standard error of the
mean over the validation images, for comparison: of PSNR-Y itself, and of the difference to the next student in the
list, image by image. What is in the log is not trained again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from autocompress.evaluation.scores import network_upscaler
from autocompress.progress import finished
from autocompress.search.settings import Settings
from autocompress.search.task import open_task
from autocompress.search.trial.context import TrialContext
from autocompress.search.trial.preparation import prepare

STUDENTS: dict[str, tuple[str, dict[str, float]]] = {
    "edsr-8x4": ("edsr", {"num_feat": 8, "num_block": 4}),
    "edsr-16x8": ("edsr", {"num_feat": 16, "num_block": 8}),
    "edsr-32x8": ("edsr", {"num_feat": 32, "num_block": 8}),
    "swinirmini": ("swinir", {"embed_dim": 24, "num_block": 3, "depth": 4, "num_heads": 6, "mlp_ratio": 2.0}),
}


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--student", nargs="+", choices=STUDENTS, default=[name for name in STUDENTS if "edsr" in name])
    made.add_argument("--seeds", type=int, default=5)
    made.add_argument("--steps", type=int, default=300)
    made.add_argument("--log", type=Path, required=True)
    options = made.parse_args()
    rows = [json.loads(line) for line in options.log.read_text().splitlines()] if options.log.exists() else []
    contexts: dict[str, TrialContext] = {}
    for student, seed in itertools.product(options.student, range(options.seeds)):
        key = {"student": student, "steps": options.steps, "seed": seed}
        if any(key.items() <= row.items() for row in rows):
            continue
        family = STUDENTS[student][0]
        if family not in contexts:
            contexts[family] = prepare(open_task(Settings(budget_params=10**9, spaces=(family,), steps=options.steps)))
        rows.append(key | trained(contexts[family], student, seed))
        with options.log.open("a") as log:
            log.write(json.dumps(rows[-1]) + "\n")
        print(json.dumps(rows[-1]), flush=True)
    show([row for row in rows if row["steps"] == options.steps and row["student"] in options.student])


def trained(context: TrialContext, student: str, seed: int) -> dict[str, Any]:
    """PSNR-Y in dB of each validation image, and the seconds of a student's start and training."""
    start = time.perf_counter()
    (space,) = context.task.joint_space
    recipe = replace(context.task.recipe, seed=seed)
    candidate = space.space.candidate(STUDENTS[student][1], space.teacher.config, recipe)
    network = finished(context.shrink(candidate))
    context.precision.place(network)
    training = context.training(network, candidate)
    training.run_to(recipe.steps)
    scores = context.score(network_upscaler(training.student), ["psnr_y"])
    by_image = {name: round(row["psnr_y"], 4) for name, row in scores.images.items()}
    return {"psnr_y": by_image, "seconds": round(time.perf_counter() - start, 1)}


def show(rows: list[dict[str, Any]]) -> None:
    """The table, and the standard deviation of all students together."""
    by_student: dict[str, list[dict[str, float]]] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        by_student.setdefault(row["student"], []).append(row["psnr_y"])
    means = {student: [statistics.mean(images.values()) for images in seeds] for student, seeds in by_student.items()}
    print("\n| student | seeds | PSNR-Y | sd over seeds | s.e. over images | s.e. of the difference to the next |")
    print("|---|---|---|---|---|---|")
    for (student, seeds), after in itertools.zip_longest(by_student.items(), list(by_student.values())[1:]):
        sd = statistics.stdev(means[student])
        to_next = "" if after is None else f"{error(difference(seeds[0], after[0])):.3f}"
        own = error(list(seeds[0].values()))
        mean = statistics.mean(means[student])
        print(f"| {student} | {len(seeds)} | {mean:.3f} | {sd:.3f} | {own:.2f} | {to_next} |")
    together = statistics.mean(statistics.variance(values) for values in means.values()) ** 0.5
    degrees = sum(len(values) - 1 for values in means.values())
    print(f"\nstandard deviation of all together {together:.4f} dB, from {degrees} degrees of freedom")


def difference(a: dict[str, float], b: dict[str, float]) -> list[float]:
    """Image by image."""
    return [a[image] - b[image] for image in a]


def error(values: list[float]) -> float:
    """The standard error of a mean."""
    return statistics.stdev(values) / math.sqrt(len(values))


if __name__ == "__main__":
    main()
