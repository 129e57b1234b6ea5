"""Samplers and stopping rules, compared on what real trainings say, without training anything.

    python benchmarks/samplers.py [--seeds 20] [--budget 20 100] [--trials 100] [--only sampler/rule ...]

benchmarks/trainings-edsr.jsonl has the PSNR-Y of real trainings before training and at three rungs. A Gaussian process
over them gives any config's: each seed draws another one of the functions that the trainings leave possible, and the
noise of the trainings that were repeated with another seed. The space is the table's own, which has more terms of the
loss than the shipped one. The samplers are those of a search, on a study in memory,
with its first trials; time is a line in FLOPs for each step and a second for each student that is shrunk and scored.

Prints the error of the process when each training is left out, and for each sampler and rule the hypervolume of the
students trained to the end (without noise), as a share of that of the whole space within the budget.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import TrialState
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from autocompress.search.pareto import Point, ReferencePoint, hypervolume
from autocompress.search.run.record import TrialRecord, update
from autocompress.search.run.study import DIRECTIONS
from autocompress.search.sampling.cost_aware import CostAwareSampler
from autocompress.search.sampling.factory import make_sampler
from autocompress.search.sampling.feasible_sampler import FeasibleSampler
from autocompress.search.sampling.initial import first_points
from autocompress.search.sampling.pool import CandidatePool
from autocompress.search.settings import SamplerName, Settings
from autocompress.search.space.budget import Budget
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.space.joint_space import StudentSpace
from autocompress.search.space.search_space import Values
from autocompress.search.stopping import DominanceRule, MOASHARule, NoStopping, StoppingRule
from autocompress.search.task import open_joint_space

Array = NDArray[np.float64]

TABLE = Path(__file__).with_name("trainings-edsr.jsonl")
SPACES = (str(TABLE.with_suffix(".yaml")),)
STEPS = (0, 33, 100, 300)
SCORING = 1.0  # seconds to shrink a student and score it, benchmarks/RESULTS.md
SECONDS = (0.010, 6.7e-13)  # of a step: at no FLOPs, and for each; EDSR 8x4 to 32x8 of RESULTS.md, machine B
WAVES = 1000  # cosines that make up a function drawn from the process
CHECKPOINTS = (20, 40, 100)  # trials
TIMES = (10, 20)  # trainings of any network to the end, whose mean time is given to each
MOST = 160  # trials, where stopping is so eager that a time takes more


@dataclass(frozen=True)
class Rule:
    """Trials may stop at the steps `at`; `batch` candidates are scored before the cheapest of them trains."""

    make: Callable[[], StoppingRule]
    at: tuple[int, ...] = STEPS
    batch: int = 8


TRAINED = STEPS[1:]
RULES = {
    "none": Rule(NoStopping, ()),
    "dominance": Rule(DominanceRule),
    "dominance, after training": Rule(DominanceRule, TRAINED),
    "dominance at 100": Rule(DominanceRule, (100,)),
    "MO-ASHA 2 at 100": Rule(lambda: MOASHARule(2), (100,)),
    "MO-ASHA 2": Rule(lambda: MOASHARule(2)),
    "MO-ASHA 3": Rule(lambda: MOASHARule(3)),
    "MO-ASHA 2, after training": Rule(lambda: MOASHARule(2), TRAINED),
    "MO-ASHA 3, after training": Rule(lambda: MOASHARule(3), TRAINED),
    "MO-ASHA 2 after 8, at 100": Rule(lambda: MOASHARule(2, 8), (100,)),
    "MO-ASHA 2 after 8, after training": Rule(lambda: MOASHARule(2, 8), TRAINED),
    "MO-ASHA 2, before training": Rule(lambda: MOASHARule(2), (0,)),
    "MO-ASHA 3, before training": Rule(lambda: MOASHARule(3), (0,)),
}
BATCHES = {f"{name}, batch {n}": dataclasses.replace(RULES[name], batch=n) for name in RULES for n in (1, 4, 8, 16)}
DEFAULT = "MO-ASHA 2 after 8, at 100, batch 1"  # the search's own rule
WHOLE = "cost-aware by whole scores"  # a stopped student says nothing to it
CASES = (
    *(f"{sampler}/{rule}" for sampler in ("random", "nsga2", "tpe", "gp") for rule in ("none, batch 1", DEFAULT)),
    *(f"{sampler}/{DEFAULT}" for sampler in ("cost-aware", WHOLE)),
    *(f"cost-aware/{rule}, batch 1" for rule in RULES if f"{rule}, batch 1" != DEFAULT),
    *(f"cost-aware/{rule}, batch 8" for rule in ("none", "dominance", "dominance at 100", "MO-ASHA 2")),
)


class Table:
    """The real trainings, and a Gaussian process for the score at the end and for each difference to it."""

    def __init__(self) -> None:
        header, *rows = [json.loads(line) for line in TABLE.read_text().splitlines()]
        self.references = header["references"]
        self.rows = [row for row in rows if None not in row["psnr_y"].values()]
        self._noise = self._repeats()

    def _repeats(self) -> Array:
        """What repeated trainings differ by, over the root of two: [repeats, steps] in dB."""
        scores = {(row["config"], row["seed"]): self._curve(row) for row in self.rows}
        pairs = [(scores[config, 0], curve) for (config, seed), curve in scores.items() if seed == 1]
        return np.array([(a - b) / math.sqrt(2) for a, b in pairs])

    @staticmethod
    def _curve(row: dict[str, Any]) -> Array:
        return np.array([row["psnr_y"][str(step)] for step in STEPS])

    def fit(self, pool: CandidatePool) -> None:
        """The processes: of scores at 0 and at the end, and of the gains from one rung to the next."""
        self._x = np.array([pool.at(row["values"]).features for row in self.rows])
        curves = np.array([self._curve(row) for row in self.rows])
        targets = [curves[:, 0], curves[:, 3], curves[:, 3] - curves[:, 2], curves[:, 2] - curves[:, 1]]
        self._processes = [_Process(self._x, target) for target in targets]
        for step, process in zip(("0", "300", "100 to 300", "33 to 100"), self._processes, strict=True):
            error = process.left_out()
            print(
                f"PSNR-Y at {step}: spread {process.spread:.3f} dB; each training left out: root mean square error "
                f"{np.sqrt(np.mean(error**2)):.3f} dB, median {np.median(abs(error)):.3f} dB",
                flush=True,
            )
        print(f"noise of repeats, dB at {STEPS}: {np.round(np.sqrt((self._noise**2).mean(0)), 3)}")

    def draw(self, features: Array, random: np.random.Generator) -> Array:
        """Scores of these points at STEPS, of one possible function: [points, steps] in dB."""
        start, end, late, middle = (process.draw(features, random) for process in self._processes)
        return np.stack([start, end - late - middle, end - late, end], axis=1)

    def noise(self, random: np.random.Generator) -> Array:
        """What a training differs from another of the same config by: [steps] in dB, as some repeat did."""
        noise: Array = self._noise[random.integers(len(self._noise))]
        return noise * float(random.choice([-1.0, 1.0]))


class _Process:
    """Around a parabola in log FLOPs."""

    def __init__(self, x: Array, y: Array) -> None:
        self._trend = np.polyfit(x[:, 0], y, 2)
        self.spread = float(y.std())
        rest = y - np.polyval(self._trend, x[:, 0])
        self._scale = float(rest.std())
        kernel = ConstantKernel(1.0) * Matern(np.ones(x.shape[1]), (0.1, 50.0), nu=2.5)
        kernel += WhiteKernel(0.05, (1e-3, 1.0))
        self._x, self._y = x, rest / self._scale
        fitted = GaussianProcessRegressor(kernel, alpha=0, n_restarts_optimizer=2, random_state=0)
        with warnings.catch_warnings():  # some numbers of the kernel are at their bounds
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._kernel = fitted.fit(x, self._y).kernel_
        self._covariance = self._kernel(x)

    def left_out(self) -> Array:
        """The error at each training by the others (of the other configs), in dB."""
        same = np.linalg.norm(self._x[:, None] - self._x[None], axis=2) < 1e-9
        errors = []
        for index in range(len(self._x)):
            others = ~same[index]
            weights = np.linalg.solve(self._covariance[np.ix_(others, others)], self._y[others])
            errors.append(self._covariance[index, others] @ weights - self._y[index])
        return np.array(errors) * self._scale

    def draw(self, x: Array, random: np.random.Generator) -> Array:
        """At points [n, d]: a function of the prior by random cosines, bent to the data (Wilson et al. 2020)."""
        smooth, white = self._kernel.k1, self._kernel.k2
        lengths, freedom = np.asarray(smooth.k2.length_scale), 5.0  # a Matern of 5/2 has Student's t as its spectrum
        stretch = np.sqrt(freedom / random.chisquare(freedom, size=(WAVES, 1)))
        waves = random.normal(size=(WAVES, x.shape[1])) / lengths * stretch
        phases, heights = random.uniform(0, 2 * np.pi, WAVES), random.normal(size=WAVES)
        size = math.sqrt(2 * smooth.k1.constant_value / WAVES)

        def prior(at: Array) -> Array:
            return np.asarray(size * np.cos(at @ waves.T + phases) @ heights)

        missing = self._y - prior(self._x) - math.sqrt(white.noise_level) * random.normal(size=len(self._x))
        rest = prior(x) + smooth(x, self._x) @ np.linalg.solve(self._covariance, missing)
        return np.asarray(np.polyval(self._trend, x[:, 0]) + self._scale * rest)


class World:
    """All points of the space within a budget, and what trainings of them give under one seed."""

    def __init__(self, table: Table, budget: Budget, seed: int) -> None:
        self.settings = Settings(budget_flops=budget.flops, seed=seed, trials=CHECKPOINTS[-1], spaces=SPACES)
        self.joint_space = open_joint_space(self.settings)
        (student_space,) = self.joint_space
        self.reference = ReferencePoint(table.references["teacher"]["flops"], table.references["bicubic"]["psnr_y"])
        self._table, self._seed = table, seed
        self.begin()
        pool, points = CandidatePool(self.feasible), list(_all(self.feasible, student_space))
        self._names = [parameter.name for parameter in student_space.space.parameters]
        self._index = {self._name(values): index for index, values in enumerate(points)}
        candidates = [pool.at(values) for values in points]
        self.flops = [candidate.flops for candidate in candidates]
        features = np.array([candidate.features for candidate in candidates])
        self._curves = table.draw(features, np.random.default_rng([seed, 0]))
        ends = enumerate(zip(self._curves[:, 3], self.flops, strict=True))
        self.best = hypervolume([Point(n, psnr, flops) for n, (psnr, flops) in ends], self.reference)
        every = [SCORING + STEPS[-1] * (SECONDS[0] + SECONDS[1] * flops) for flops in self.flops]
        self.training = float(np.mean(every))  # seconds, in the mean over the networks

    def begin(self) -> None:
        """As if nothing had been tried."""
        self.feasible = FeasibleSet(self.joint_space, self.settings.budget)
        self._random = np.random.default_rng([self._seed, 1])

    def _name(self, values: Values) -> tuple[object, ...]:
        return tuple(values[name] for name in self._names)

    def index(self, values: Values) -> int:
        """Which point it is; from now on it has been tried."""
        self.feasible.mark_tried(values)
        return self._index[self._name(values)]

    def train(self, index: int) -> tuple[Array, float]:
        """Scores at STEPS as they are seen, and the one at the end without noise."""
        curve = self._curves[index]
        return curve + self._table.noise(self._random), float(curve[3])

    def sampler(self, name: str) -> FeasibleSampler:
        """As a search would have it, or WHOLE."""
        seed = self.settings.seed
        if name == WHOLE:
            return CostAwareSampler(self.feasible, seed, self.reference, use_stopped=False)
        return make_sampler(SamplerName(name), self.feasible, seed, self.reference.psnr)


def _all(feasible: FeasibleSet, student_space: StudentSpace) -> Iterator[Values]:
    """Every point within the budget."""
    recipe = [parameter for parameter in student_space.space.parameters if parameter not in student_space.space.counts]
    for network in feasible.within(student_space):
        for combination in itertools.product(*(parameter.values for parameter in recipe)):
            yield {**network.values, **dict(zip((p.name for p in recipe), combination, strict=True))}


@dataclass
class Course:
    """How a simulated search went: after each trial the seconds used and the share of the best hypervolume."""

    seconds: list[float]
    shares: list[float]
    trained: list[int]  # to the end, so far
    asking: float  # seconds of a real clock, for all
    training: float  # seconds that one network takes in the mean

    def at_trial(self, count: int) -> float:
        """The share after so many trials."""
        return self.shares[min(count, len(self.shares)) - 1]

    def at_time(self, seconds: float) -> float:
        """The share after so long."""
        done = [share for time, share in zip(self.seconds, self.shares, strict=True) if time <= seconds]
        return done[-1] if done else 0.0


def simulate(world: World, name: str, rule: Rule, trials: int) -> Course:
    world.begin()
    sampler = world.sampler(name)
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    for values in first_points(world.feasible, 8):
        study.enqueue_trial(dict(values))
    stopping, clock, trained = rule.make(), 0.0, list[Point]()
    course = Course([], [], [], 0.0, world.training)
    while len(course.shares) < trials or (clock < TIMES[-1] * world.training and len(course.shares) < MOST):
        start = time.perf_counter()
        asked = []
        for _ in range(rule.batch):
            trial = study.ask()
            asked.append((world.index(world.joint_space.suggest(trial)), trial))
        course.asking += time.perf_counter() - start
        for index, trial in sorted(asked, key=lambda item: world.flops[item[0]]):
            flops = world.flops[index]
            curve, truth = world.train(index)
            clock += SCORING
            for step, before, psnr in zip(STEPS, (0, *STEPS), curve, strict=False):
                clock += (step - before) * (SECONDS[0] + SECONDS[1] * flops)
                point = Point(trial.number, float(psnr), flops)
                if step == STEPS[-1]:
                    study.tell(trial, [float(psnr), float(flops)])
                    trained.append(Point(trial.number, truth, flops))
                    break
                update(trial, TrialRecord(at_step={step: float(psnr)}))
                stopping.record(step, point)
                if step in rule.at and stopping.stops(step, point):
                    study.tell(trial, state=TrialState.PRUNED)
                    break
            course.seconds.append(clock)
            course.shares.append(hypervolume(trained, world.reference) / world.best)
            course.trained.append(len(trained))
    return course


def main() -> None:
    options = parse()
    table = Table()
    table.fit(CandidatePool(FeasibleSet(open_joint_space(Settings(budget_params=10**9, spaces=SPACES)), Budget())))
    for billions in options.budget:
        worlds = [World(table, Budget(billions * 10**9), seed) for seed in range(options.seeds)]
        times = [statistics.mean(count * world.training for world in worlds) for count in TIMES]
        head(billions, times, options.seeds)
        for case in options.only:
            sampler, rule = case.split("/")
            runs = [simulate(world, sampler, (RULES | BATCHES)[rule], options.trials) for world in worlds]
            row(case, runs, times)


def head(billions: int, times: list[float], seeds: int) -> None:
    heads = [*(f"{n} trials" for n in CHECKPOINTS), *(f"{seconds / 60:.0f} min" for seconds in times)]
    print(f"\nBudget {billions}G FLOPs, {seeds} seeds\n")
    print("| sampler | stopping | " + " | ".join([*heads, "trained of 100", "min for 40 trials", "ms an ask"]) + " |")
    print("|---|---|" + "---|" * (len(heads) + 3), flush=True)


def row(case: str, runs: list[Course], times: list[float]) -> None:
    """The mean and the standard deviation over the seeds."""
    columns = [[run.at_trial(n) for run in runs] for n in CHECKPOINTS]
    columns += [[run.at_time(seconds) for run in runs] for seconds in times]
    cells = [f"{statistics.mean(c):.3f} ±{statistics.stdev(c) if len(c) > 1 else 0:.3f}" for c in columns]
    trained = statistics.mean(run.trained[min(CHECKPOINTS[-1], len(run.trained)) - 1] for run in runs)
    asking = statistics.mean(1000 * run.asking / len(run.shares) for run in runs)
    minutes = statistics.mean(run.seconds[min(40, len(run.seconds)) - 1] / 60 for run in runs)
    numbers = [f"{trained:.0f}", f"{minutes:.0f}", f"{asking:.0f}"]
    print("| " + " | ".join([*case.split("/"), *cells, *numbers]) + " |", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", nargs="+", type=int, default=[20, 100], help="in G FLOPs")
    parser.add_argument("--trials", type=int, default=CHECKPOINTS[-1])
    parser.add_argument("--only", nargs="+", default=CASES, metavar="SAMPLER/RULE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
