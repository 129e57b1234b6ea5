"""How much sooner our search has a front as good as the plain pipeline's.

    python benchmarks/search_speed.py [--log search_speed.jsonl]

The plain pipeline's front is recorded (plain_search.py): 16 trials of 1,000 steps for each of 3 seeds; its wall time is
the steps times the time of a step of benchmarks/plain.py for each config, measured here, alternating with ours. Ours is
the default search, whole, from imports on and with an empty cache, until its finished students have the hypervolume
that the plain pipeline ends with, on the same validation images. Hypervolume: (log10 FLOPs, PSNR-Y) against (the
teacher's FLOPs, bicubic's PSNR-Y).

Also prints what part of the ratio is the step alone (the plain trials at our step time), and the start alone (the plain
pipeline, its trials begun from projection and stopped after 100 steps). Step times that are in the log already are not
measured again, nor are our searches.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()
BUDGET = 20 * 10**9

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, default=Path("search_speed.jsonl"))
    parser.add_argument("--search", type=int, metavar="SEED", help="run one of our searches, and print its points")
    parser.add_argument("--goal", type=json.loads, metavar="POINTS", help="until it is as good as these")
    options = parser.parse_args()
    if options.search is not None:
        our_search(options.search, options.goal)
        return
    recorded = [json.loads(line) for line in Path(__file__).with_name("plain_search.jsonl").read_text().splitlines()]
    log = [json.loads(line) for line in options.log.read_text().splitlines()] if options.log.exists() else []
    for counts in sorted({(row["num_feat"], row["num_block"]) for row in recorded}):
        if not any(row.get("counts") == list(counts) for row in log):
            log.append(keep(options.log, {"counts": counts, **step_times(counts)}))
    seeds = sorted({row["seed"] for row in recorded})
    for seed in seeds:
        if not any(row.get("search") == seed for row in log):
            log.append(keep(options.log, {"search": seed, **search_in_process(seed, goal(recorded, seed))}))
    report(recorded, log, seeds)


def keep(log: Path, row: Row) -> Row:
    with log.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row)[:160], flush=True)
    kept: Row = json.loads(json.dumps(row))
    return kept


def step_times(counts: tuple[int, int]) -> Row:
    """Seconds of a step, the plain pipeline's and ours, of 16 patches of 48x48."""
    from plain import PlainTraining, write_pairs
    from step_speed import RECIPE, alternate, repeated

    from autocompress.data.embedded import embedded
    from autocompress.distill.training import Training
    from autocompress.networks.edsr.network import EDSR, EDSRConfig
    from autocompress.search.settings import Settings
    from autocompress.search.space.search_space import Candidate
    from autocompress.search.task import open_task
    from autocompress.search.trial.preparation import prepare

    context = prepare(open_task(Settings(budget_flops=BUDGET)))
    student = EDSR(EDSRConfig(2, *counts))
    with tempfile.TemporaryDirectory() as folder:
        write_pairs(embedded("train", 2), Path(folder))
        (student_space,) = context.task.joint_space
        plain = PlainTraining(student, student_space.teacher, Path(folder), RECIPE, context.precision.device, 2)
        ours = Training(
            student,
            context.sampler(Candidate(student_space.name, {}, student.config, RECIPE, 0, 0)),
            RECIPE,
            context.precision,
        )
        kinds = {"plain": repeated(plain.step), "ours": lambda steps: ours.run_to(ours.step + steps)}
        return alternate(kinds, 3, 1, context.precision.device, warm_up=1)


def goal(recorded: list[Row], seed: int) -> list[tuple[float, float]]:
    """The (FLOPs, PSNR-Y) of the students that the plain pipeline ends with."""
    return [(row["flops"], row["scratch"]["1000"]) for row in recorded if row["seed"] == seed]


def search_in_process(seed: int, points: list[tuple[float, float]]) -> Row:
    """One of our searches in a process and a cache of its own, until it is as good as these points."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, __file__, "--search", str(seed), "--goal", json.dumps(points)]
        environment = os.environ | {"AUTOCOMPRESS_CACHE": cache}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def our_search(seed: int, wanted: list[tuple[float, float]]) -> None:
    """Run the default search until it is as good as the points; print when each student was finished, and its score."""
    from autocompress.search import RunFolder, SearchCallback, Settings, search
    from autocompress.search.space.search_space import Candidate

    points: list[tuple[float, int, float]] = []

    class Watch(SearchCallback):
        """Interrupts the search when it is there."""

        def on_trial_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
            points.append((round(time.perf_counter() - STARTED, 2), candidate.flops, psnr))
            references = RunFolder(Path(folder) / "run").config.references.to_dict()
            if volume([point[1:] for point in points], references) >= volume(wanted, references):
                raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as folder:
        run, _ = search(Settings(budget_flops=BUDGET, seed=seed, out=Path(folder) / "run"), Watch())
        references, times = run.config.references.to_dict(), [asdict(session) for session in run.times]
    print(json.dumps({"points": points, "references": references, "times": times}))


def volume(points: list[tuple[float, float]], references: Row) -> float:
    """Of (FLOPs, PSNR) points."""
    from autocompress.search.pareto import Point, ReferencePoint, hypervolume

    found = [Point(number, psnr, int(flops)) for number, (flops, psnr) in enumerate(points)]
    return hypervolume(found, ReferencePoint(references["teacher"]["flops"], references["bicubic"]["psnr_y"]))


def report(recorded: list[Row], log: list[Row], seeds: list[int]) -> None:
    steps = {tuple(row["counts"]): row for row in log if "counts" in row}
    ratios = []
    print("\n| seed | plain: hypervolume, time | ours: time | ratio | step alone | start alone |")
    print("|---|---|---|---|---|---|")
    for seed in seeds:
        ours = next(row for row in log if row.get("search") == seed)
        references = ours["references"]
        trials = [row for row in recorded if row["seed"] == seed]
        wanted = volume(goal(recorded, seed), references)
        of_step = [steps[row["num_feat"], row["num_block"]] for row in trials]
        plain = sum(1000 * times["plain"] for times in of_step)
        at_our_step = sum(1000 * times["ours"] for times in of_step)
        reached = first(wanted, [(when, (flops, psnr)) for when, flops, psnr in ours["points"]], references)
        clock, started = 0.0, []
        for row, times in zip(trials, of_step, strict=True):
            clock += 100 * times["plain"]
            started.append((clock, (row["flops"], row["projection"]["100"])))
        with_our_start = first(wanted, started, references)
        ratios.append(plain / reached)
        print(
            f"| {seed} | {wanted:.3f}, {plain:.0f} s | {reached:.0f} s | {plain / reached:.0f} "
            f"| {plain / at_our_step:.1f} | {plain / with_our_start:.1f} |"
        )
    print(f"\nmedian {statistics.median(ratios):.0f}")


def first(wanted: float, points: list[tuple[float, tuple[float, float]]], references: Row) -> float:
    """When the points so far reach this hypervolume; infinite if never."""
    for count, (when, _) in enumerate(points, 1):
        if volume([point for _, point in points[:count]], references) >= wanted:
            return when
    return float("inf")


if __name__ == "__main__":
    main()
