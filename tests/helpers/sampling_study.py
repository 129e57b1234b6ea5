"""A study over the shipped spaces whose scores follow from the points, for tests of samplers."""

import math

import optuna
from optuna.trial import TrialState

from autocompress.distill.recipe import Recipe
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig
from autocompress.search.pareto import Point, Reference, hypervolume
from autocompress.search.run.study import DIRECTIONS
from autocompress.search.sampling.cost_aware import CostAwareSampler
from autocompress.search.sampling.factory import make_sampler
from autocompress.search.sampling.initial import first_points
from autocompress.search.settings import Settings
from autocompress.search.space.budget import Budget
from autocompress.search.space.joint_space import JointSpace, StudentSpace
from autocompress.search.space.search_space import Values, load_space

BUDGET = Budget(40 * 10**9)
REFERENCE = Reference(316e9, 30.0)


def joint(*names: str) -> JointSpace:
    """Shipped spaces, with teachers as large as the shipped ones."""
    teachers: dict[str, SRNetwork] = {"edsr": EDSR(EDSRConfig(2)), "swinir": SwinIR(SwinIRConfig(2))}
    return JointSpace(
        StudentSpace(load_space(name).for_teacher(teachers[name].config), name, teachers[name], name, teachers[name])
        for name in names
    )


ALONE, BOTH = joint("edsr"), joint("edsr", "swinir")


class Bench:
    """A study whose scores follow from the points."""

    def __init__(self, branches: JointSpace = ALONE, seed: int = 0, name: str = "cost-aware") -> None:
        self.branches = branches
        self.tried: list[Values] = []
        self.study = optuna.create_study(directions=DIRECTIONS, sampler=self.sampler(seed, name))

    def sampler(self, seed: int, name: str = "cost-aware") -> CostAwareSampler:
        settings = Settings(budget=BUDGET, seed=seed, sampler=name)
        return make_sampler(settings, self.branches, self.usable, REFERENCE.psnr)  # type: ignore[return-value]

    def start(self) -> None:
        for point in first_points(self.branches, BUDGET, 8):
            self.study.enqueue_trial(dict(point))

    def usable(self, point: Values) -> bool:
        candidate = self.branches.candidate(point, Recipe())
        return BUDGET.allows(candidate.flops, candidate.params) and point not in self.tried

    def ask(self) -> optuna.Trial:
        trial = self.study.ask()
        point = self.branches.suggest(trial)
        assert self.usable(point)
        self.tried.append(point)
        return trial

    def tell(self, trial: optuna.Trial) -> None:
        self.study.tell(trial, score(self.branches, trial.params))

    def run(self, trials: int) -> None:
        for _ in range(trials):
            self.tell(self.ask())

    def found(self) -> float:
        trials = self.study.get_trials(states=(TrialState.COMPLETE,))
        points = [Point(trial.number, trial.values[0], int(trial.values[1])) for trial in trials]
        return hypervolume(points, 316 * 10**9, REFERENCE.psnr)


def score(branches: JointSpace, point: Values) -> list[float]:
    candidate = branches.candidate(point, Recipe())
    recipe = candidate.recipe
    loss = abs(recipe.teacher_share - 0.75) + 0.5 * abs(math.log(recipe.learning_rate / 2e-3))
    depth = float(candidate.config.to_dict().get("num_block", 4))
    return [26 + math.log10(candidate.flops) - 0.3 * loss - 0.05 * abs(depth - 8), float(candidate.flops)]


# --- the formula ---
