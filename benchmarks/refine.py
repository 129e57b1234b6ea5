"""Refining a front against the same time spent on more trials: the hypervolume over time, both from the same search.

    python benchmarks/refine.py --out DIR [--seeds 3] [--trials 24] [--steps 300] [--seconds 120]
        [--train DIR --valid DIR]

For each seed a search is run (or taken from DIR), and copied: one copy is refined for so many seconds, in the other the
search goes on for as long with more trials. Seconds are of the processor, so that what else the machine does counts for
neither; both include opening the run. The hypervolume is in log10 FLOPs times dB, as in the report. Last, the front at
the end of both: PSNR-Y of the best student at no more than so many FLOPs, the mean over the seeds.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from autocompress import search
from autocompress.search import RunFolder, SearchCallback, Settings
from autocompress.search.pareto import Point, ReferencePoint, hypervolume
from autocompress.search.space.search_space import Candidate

SHARES = (0.25, 0.5, 1.0)  # of the time, at which the hypervolume is shown
LIMITS = (1.5e9, 3e9, 5e9, 10e9, 20e9)  # FLOPs


@dataclass
class Growth(SearchCallback):
    """The hypervolume after each trial and piece, by the seconds since it was made."""

    run: RunFolder
    clock: Callable[[], float] = time.process_time
    start: float = field(default_factory=time.process_time)
    seconds: list[float] = field(default_factory=list)
    volumes: list[float] = field(default_factory=list)

    def look(self) -> None:
        """Add what there is now."""
        self.seconds.append(self.clock() - self.start)
        self.volumes.append(volume(self.run))

    @override
    def on_trial_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self.look()

    @override
    def on_piece_end(self, trial: int, candidate: Candidate, before: float, after: float) -> None:
        self.look()

    def at(self, seconds: float, before: float) -> float:
        """The hypervolume then, where it was `before` at first."""
        return [before, *self.volumes][bisect_right(self.seconds, seconds)]


def points(run: RunFolder) -> list[Point]:
    return [Point(student.trial, student.metrics["psnr_y"], student.cost) for student in run.students()]


def volume(run: RunFolder) -> float:
    references = run.config.references
    return hypervolume(points(run), ReferencePoint(references.teacher.flops, references.bicubic.psnr_y))


def best(run: RunFolder, limit: float) -> float:
    return max(point.psnr for point in points(run) if point.cost <= limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--valid", type=Path)
    options = parser.parse_args()
    fronts: dict[str, list[list[float]]] = {"before": [], "more trials": [], "refined": []}
    heads = [f"{share * options.seconds:.0f} s" for share in SHARES]
    print(f"| seed | from the same search | before | {' | '.join(heads)} | done |\n|{'---|' * (4 + len(heads))}")
    for seed in range(options.seeds):
        compare(options, seed, fronts)
    print(f"\n| front | {' | '.join(f'{limit / 1e9:g}G' for limit in LIMITS)} |\n|{'---|' * (1 + len(LIMITS))}")
    for name, rows in fronts.items():
        means = (statistics.mean(row[index] for row in rows) for index in range(len(LIMITS)))
        print(f"| {name} | {' | '.join(f'{mean:.2f}' for mean in means)} |")


def compare(options: argparse.Namespace, seed: int, fronts: dict[str, list[list[float]]]) -> None:
    """One seed: its search, and both ways on from there."""

    def settings(name: str, trials: int, timeout: float | None = None) -> Settings:
        return Settings(
            budget_flops=20_000_000_000,
            trials=trials,
            steps=options.steps,
            seed=seed,
            train=options.train,
            val=options.valid,
            timeout=timeout,
            out=options.out / f"{name}{seed}",
        )

    begun, _ = search.search(settings("search", options.trials), SearchCallback())
    before = volume(begun)
    fronts["before"].append([best(begun, limit) for limit in LIMITS])
    for name in ("more trials", "refined"):
        run = RunFolder(options.out / f"{name.replace(' ', '-')}{seed}")
        shutil.rmtree(run.path, ignore_errors=True)
        shutil.copytree(begun.path, run.path)
        growth = Growth(run)
        if name == "refined":
            where = {"timeout": options.seconds}
            search.refine(run.path, growth, where=where, clock=time.process_time)
        else:
            more = settings(name.replace(" ", "-"), 10**6, options.seconds)
            search.search(more, growth, clock=time.process_time)
        cells = [f"{growth.at(share * options.seconds, before):.4f}" for share in SHARES]
        done = f"{len(growth.volumes)} {'pieces' if name == 'refined' else 'students trained to the end'}"
        print(f"| {seed} | {name} | {before:.4f} | {' | '.join(cells)} | {done} |", flush=True)
        fronts[name].append([best(run, limit) for limit in LIMITS])


if __name__ == "__main__":
    main()
