"""The samplers that a search may use, by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from autocompress.search.pareto import ReferencePoint
from autocompress.search.sampling.feasible_sampler import ATTEMPTS, LEAST_ATTEMPTS, FeasibleSampler
from autocompress.search.settings import SamplerName
from autocompress.search.space.feasible import FeasibleSet

STARTUP = 8  # trials before Optuna's samplers look at any score
POPULATION = 10  # of NSGA-II: Optuna's default of 50 is more than most searches have trials


def _tpe(seed: int) -> BaseSampler:
    """Multi-objective TPE; it samples all parameters together and keeps away from trials still running."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=STARTUP)


def _gp(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return GPSampler(seed=seed, n_startup_trials=STARTUP)


OPTUNAS: dict[SamplerName, Callable[[int], BaseSampler]] = {
    SamplerName.TPE: _tpe,
    SamplerName.NSGA2: lambda seed: NSGAIISampler(seed=seed, population_size=POPULATION),
    SamplerName.GP: _gp,
    SamplerName.RANDOM: lambda seed: RandomSampler(seed=seed),
}


def make_sampler(name: SamplerName, feasible: FeasibleSet, seed: int, bicubic: float) -> FeasibleSampler:
    """The sampler of this name; `bicubic`, its PSNR-Y in dB, is the reference of the hypervolume."""
    if name in OPTUNAS:
        attempts = LEAST_ATTEMPTS if name is SamplerName.GP else ATTEMPTS  # an attempt of the GP takes a second
        return FeasibleSampler(OPTUNAS[name], feasible, seed, attempts)
    from autocompress.search.sampling.cost_aware import CostAwareSampler  # scikit-learn takes a second to import

    teacher = max(feasible.costs.guess(space.teacher_family, space.teacher.config) for space in feasible.joint_space)
    return CostAwareSampler(feasible, seed, ReferencePoint(teacher, bicubic))
