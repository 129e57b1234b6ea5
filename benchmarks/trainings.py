"""A table of real trainings, by which samplers and stopping rules can be compared without training anything.

    python benchmarks/trainings.py --space benchmarks/trainings-edsr.yaml [--count 64] [--repeats 10] [--steps 300]
        [--out FILE]

Draws configs with their loss weights from the space, spread evenly over log FLOPs up to 40 % of the
teacher's, and trains each from its projected start on the default images; the first `repeats` a second time with
another seed. One JSON line for each training: values, FLOPs, PSNR-Y on the default validation images at each rung. What
is in the file already is not trained again, but for a last line that a kill has torn. The first line says where and
with which commit.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import torch

import autocompress
from autocompress.distill.recipe import Recipe
from autocompress.distill.training import Training
from autocompress.errors import TrainingDiverged
from autocompress.evaluation.scores import network_upscaler
from autocompress.progress import finished
from autocompress.search.settings import Settings
from autocompress.search.space.search_space import Candidate
from autocompress.search.task import open_task
from autocompress.search.trial.context import TrialContext
from autocompress.search.trial.preparation import prepare

POOL = 60  # random candidates, of which the nearest to each level of FLOPs is taken
LARGEST = 0.4  # of the teacher's FLOPs


def main() -> None:
    options = parse()
    out = options.out or Path(options.space).with_suffix(".jsonl")
    task = open_task(Settings(budget_params=10**9, spaces=(options.space,)))
    context = prepare(task, print)
    lines = whole_lines(out)
    if not lines:
        append(out, about(context, options.steps))
    done = {(line["config"], line["seed"]) for line in lines[1:]}
    drawn = candidates(context, options.count, Recipe(steps=options.steps))
    jobs = [(number, 0) for number in range(options.count)] + [(number, 1) for number in range(options.repeats)]
    for number, seed in jobs:
        if (number, seed) in done:
            continue
        candidate = drawn[number]
        candidate = replace(candidate, recipe=replace(candidate.recipe, seed=1000 * seed + number))
        start = time.perf_counter()
        row = {"config": number, "seed": seed, "values": dict(candidate.values), "flops": candidate.flops}
        row |= {"params": candidate.params, "psnr_y": curve(context, candidate)}
        append(out, row | {"seconds": round(time.perf_counter() - start, 2)})
        print(json.dumps(row), flush=True)


def candidates(context: TrialContext, count: int, recipe: Recipe) -> list[Candidate]:
    """Spread over log FLOPs, in an order of their own, so that the first ones are spread as well."""
    (student_space,) = context.task.joint_space
    space, teacher, family = student_space.space, student_space.teacher, student_space.family
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    distributions = {parameter.name: parameter.distribution for parameter in space.parameters}
    flops = [family.flops(config) for _, config in space.sizes(teacher.config)]
    low, high = math.log(min(flops)), math.log(LARGEST * family.flops(teacher.config))
    found = []
    for index in range(count):
        level = low + (high - low) * (index * 0.6180339887 % 1)  # the golden ratio's multiples fill an interval evenly
        pool = [space.candidate(study.ask(distributions).params, teacher.config, recipe) for _ in range(POOL)]
        found.append(min(pool, key=lambda candidate: abs(math.log(candidate.flops) - level)))
    return found


def curve(context: TrialContext, candidate: Candidate) -> dict[str, float | None]:
    """PSNR-Y at each rung; None from where the training diverged."""
    student = finished(context.shrink(candidate))
    training = Training(student, context.sampler(candidate), candidate.recipe, context.precision)
    psnr: dict[str, float | None] = {}
    for step in (0, *(candidate.recipe.steps // 3**power for power in (3, 2, 1, 0))):
        try:
            training.run_to(step)
            score = context.score(network_upscaler(training.student), ["psnr_y"]).mean["psnr_y"]
            psnr[str(step)] = round(score, 4)
        except TrainingDiverged:
            psnr[str(step)] = None
    return psnr


def about(context: TrialContext, steps: int) -> dict[str, object]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    device = torch.cuda.get_device_name() if context.precision.device == "cuda" else platform.processor()
    (student_space,) = context.task.joint_space
    return {
        "space": student_space.space.to_dict(),
        "steps": steps,
        "teacher": student_space.teacher_name,
        "references": context.references,
        "arithmetic": context.precision.to_dict(),
        "machine": device,
        "commit": commit.stdout.strip(),
        "versions": {"autocompress": autocompress.__version__, "torch": torch.__version__},
    }


def whole_lines(out: Path) -> list[dict[str, Any]]:
    """What is in the file, if there is one; a last line that is not whole is taken off it."""
    if not out.exists():
        return []
    lines = out.read_bytes().splitlines(keepends=True)
    if lines and not is_whole(lines[-1]):
        os.truncate(out, out.stat().st_size - len(lines.pop()))
    return [json.loads(line) for line in lines]


def is_whole(line: bytes) -> bool:
    """Whether it was written to its end."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")


def append(out: Path, row: dict[str, object]) -> None:
    with out.open("a") as file:
        file.write(json.dumps(row) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default=str(Path(__file__).with_name("trainings-edsr.yaml")))
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
