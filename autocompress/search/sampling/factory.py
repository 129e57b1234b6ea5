"""The samplers that a search may use, by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from autocompress.search.sampling.feasible_sampler import ATTEMPTS, LEAST_ATTEMPTS, FeasibleSampler
from autocompress.search.settings import SamplerName, Settings
from autocompress.search.space.cost import COUNTED, Costs
from autocompress.search.space.joint_space import JointSpace
from autocompress.search.space.search_space import Values

STARTUP = 8  # trials before Optuna's samplers look at any score
POPULATION = 10  # of NSGA-II: its own 50 are more than most searches have trials


def _tpe(seed: int) -> BaseSampler:
    """Multi-objective; takes parameters together and keeps away from trials still running."""
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


def make_sampler(
    settings: Settings,
    branches: JointSpace,
    usable: Callable[[Values], bool],
    bicubic: float,
    costs: Costs = COUNTED,
) -> FeasibleSampler:
    """The one that the settings name; `bicubic` is its PSNR-Y in dB, from which a front is measured."""
    if settings.sampler in OPTUNAS:
        attempts = LEAST_ATTEMPTS if settings.sampler is SamplerName.GP else ATTEMPTS  # one takes the GP's a second
        return FeasibleSampler(OPTUNAS[settings.sampler], branches, usable, settings.seed, attempts)
    from autocompress.search.pareto import Reference
    from autocompress.search.sampling.cost_aware import CostAwareSampler  # scikit-learn takes a second to import

    teacher = max(costs.guess(branch.family, branch.teacher.config) for branch in branches)
    return CostAwareSampler(branches, usable, settings.seed, settings.budget, Reference(teacher, bicubic), costs)
