"""A study over the shipped spaces whose scores follow from the points, for tests of samplers."""

import math

import optuna
from optuna.trial import TrialState

from autocompress.distill.recipe import Recipe
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig
from autocompress.search.pareto import Point, ReferencePoint, hypervolume
from autocompress.search.run.study import DIRECTIONS
from autocompress.search.sampling.factory import make_sampler
from autocompress.search.sampling.feasible_sampler import FeasibleSampler
from autocompress.search.sampling.initial import first_points
from autocompress.search.settings import SamplerName
from autocompress.search.space.budget import Budget
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.space.joint_space import JointSpace, StudentSpace
from autocompress.search.space.search_space import Values, load_space

BUDGET = Budget(40 * 10**9)
REFERENCE = ReferencePoint(316e9, 30.0)


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

    def __init__(self, joint_space: JointSpace = ALONE, seed: int = 0, name: str = "cost-aware") -> None:
        self.joint_space = joint_space
        self.feasible = FeasibleSet(joint_space, BUDGET)
        self.points: list[Values] = []
        self.study = optuna.create_study(directions=DIRECTIONS, sampler=self.sampler(seed, name))

    def sampler(self, seed: int, name: str = "cost-aware") -> FeasibleSampler:
        """Another one, which has asked for nothing yet."""
        return make_sampler(SamplerName(name), self.feasible, seed, REFERENCE.psnr)

    def start(self) -> None:
        """Queue the first points."""
        for point in first_points(self.feasible, 8):
            self.study.enqueue_trial(dict(point))

    def ask(self) -> optuna.Trial:
        """The next trial, whose point must be a feasible one."""
        trial = self.study.ask()
        point = self.joint_space.suggest(trial)
        assert self.feasible.allows(point)
        self.feasible.mark_tried(point)
        self.points.append(point)
        return trial

    def tell(self, trial: optuna.Trial) -> None:
        """The score of its point."""
        self.study.tell(trial, score(self.joint_space, trial.params))

    def run(self, trials: int) -> None:
        """Ask and tell, one trial after the other."""
        for _ in range(trials):
            self.tell(self.ask())

    def hypervolume(self) -> float:
        """Of the trials so far."""
        trials = self.study.get_trials(states=(TrialState.COMPLETE,))
        points = [Point(trial.number, trial.values[0], trial.values[1]) for trial in trials]
        return hypervolume(points, REFERENCE)


def score(joint_space: JointSpace, point: Values) -> list[float]:
    """PSNR-Y and FLOPs."""
    candidate = joint_space.candidate(point, Recipe())
    recipe = candidate.recipe
    loss = abs(recipe.teacher_share - 0.75) + 0.5 * abs(math.log(recipe.learning_rate / 2e-3))
    depth = float(candidate.config.to_dict().get("num_block", 4))
    return [26 + math.log10(candidate.flops) - 0.3 * loss - 0.05 * abs(depth - 8), float(candidate.flops)]
