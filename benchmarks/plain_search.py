"""What the plain pipeline finds, recorded once for search_speed.py.

    python benchmarks/plain_search.py [--seed 0 ...] [--out benchmarks/plain_search.jsonl]

For each seed 16 trials of EDSR under 20 GFLOPs, proposed by Optuna's default sampler, each trained from scratch for
1,000 steps of 16 patches of 48x48 LR pixels on the default images, in float32: what benchmarks/plain.py computes, by
our loop, which computes the same sooner (benchmarks/step_speed.py measures both). Scratch has the better of two
learning rates. Beside it the same configs are trained for the first steps from their projected starts. One JSON line
for each trial: PSNR-Y on the default validation images by step. What is in the file already is not trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import optuna
import torch

from autocompress import prune
from autocompress.compute import probing
from autocompress.distill.recipe import Recipe
from autocompress.distill.training import Training
from autocompress.evaluation.scores import network_upscaler
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.progress import finished
from autocompress.search.settings import Settings
from autocompress.search.space.search_space import Candidate
from autocompress.search.task import open_task
from autocompress.search.trial.context import TrialContext
from autocompress.search.trial.preparation import prepare

TRIALS, BUDGET = 16, 20 * 10**9
STEPS = (0, 100, 300, 600, 1000)
PROJECTED_STEPS = (0, 100)  # by then a projected student is ahead of where a scratch one ends
LEARNING_RATES = (1e-3, 2e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, action="append", help="0, 1 and 2 by default")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("plain_search.jsonl"))
    options = parser.parse_args()
    task = open_task(Settings(budget_flops=BUDGET))
    context = prepare(task, print, precision=replace(probing.choose(), dtype="float32"))
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    known = {(row["seed"], row["trial"]): row for row in map(json.loads, lines)}
    for seed in options.seed or range(3):
        study = optuna.create_study(
            directions=["maximize", "minimize"], sampler=optuna.samplers.TPESampler(seed=seed)
        )  # Optuna's default, seeded
        done = 0
        while done < TRIALS:
            trial = study.ask()
            config = EDSRConfig(2, trial.suggest_int("num_feat", 8, 64, step=4), trial.suggest_int("num_block", 1, 16))
            flops = EDSRFamily().flops(config)
            if flops > BUDGET:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                continue
            if (row := known.get((seed, done))) is not None:  # as it was: the sampler comes to the same next one
                assert (row["num_feat"], row["num_block"]) == (config.num_feat, config.num_block)
                study.tell(trial, [row["scratch"][str(STEPS[-1])], float(flops)])
                done += 1
                continue
            row = {"seed": seed, "trial": done, "num_feat": config.num_feat, "num_block": config.num_block}
            start = time.perf_counter()
            row |= {"flops": flops, **curves(context, config, seed * 1000 + done)}
            row["seconds"] = round(time.perf_counter() - start, 1)
            study.tell(trial, [row["scratch"][str(STEPS[-1])], float(flops)])
            done += 1
            with options.out.open("a") as out:
                out.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


def curves(context: TrialContext, config: EDSRConfig, seed: int) -> dict[str, dict[str, float]]:
    """PSNR-Y by step: from scratch at the better learning rate, and from projection."""
    (student_space,) = context.task.joint_space
    scratch = prune.shrinker(student_space.teacher, torch.empty(0), "scratch", seed)(config)
    found = [
        curve(context, scratch, Recipe(steps=STEPS[-1], patch_size=48, learning_rate=rate, seed=seed))
        for rate in LEARNING_RATES
    ]
    best = max(found, key=lambda psnr: psnr[str(STEPS[-1])])
    recipe = Recipe(steps=STEPS[-1], patch_size=48, seed=seed)
    start = finished(context.shrink(Candidate(student_space.name, {}, config, recipe, 0, 0)))
    projected = curve(context, start, recipe, PROJECTED_STEPS)
    return {"scratch": best, "projection": projected}


def curve(
    context: TrialContext, student: SRNetwork, recipe: Recipe, steps: tuple[int, ...] = STEPS
) -> dict[str, float]:
    training = Training(
        student, context.sampler(Candidate("edsr", {}, student.config, recipe, 0, 0)), recipe, context.precision
    )
    psnr = {}
    for step in steps:
        training.run_to(step)
        psnr[str(step)] = round(context.score(network_upscaler(training.student), ["psnr_y"]).mean["psnr_y"], 4)
    return psnr


if __name__ == "__main__":
    main()
