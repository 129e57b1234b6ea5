"""PSNR-Y as a Gaussian process over points of the spaces: what a sampler expects of a student before it is trained."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, IntDistribution
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from autocompress.search.space.joint_space import JointSpace, StudentSpace
from autocompress.search.space.parameter import Parameter, Value
from autocompress.search.space.search_space import Values

Array = NDArray[np.float64]
Objective = Callable[[Array], tuple[float, Array]]  # the negative log likelihood, and its gradient

ABSENT = 0.5  # of a feature that a branch has no parameter for
DECADES = 2.0  # of FLOPs, that weigh as much as a parameter's whole range
# of variance, length scales (in ranges of a parameter) and noise: where the logarithms' normal priors have their
# middle, and how wide they are. They keep eight scores from saying too much.
PRIORS = {"variance": (1.0, 1.0), "length": (1.5, 1.0), "noise": (0.02, 1.5)}
BOUNDS = (1e-6, 1e4)
ITERATIONS = 20  # of L-BFGS


class Encoding:
    """Points as vectors, the first number of which is log10 FLOPs over DECADES.

    Numbers are scaled to [0, 1] by their own range in their branch: the logarithm of counts and of log floats. Choices
    are one-hot; those of the teacher's loss are worth the teacher's share, since without a share there is no such loss.
    Parameters of one name in several branches share a feature; which branch it is, is one-hot too.
    """

    def __init__(self, branches: JointSpace) -> None:
        self._names = [branch.name for branch in branches] if branches.which else []
        self._absent: dict[str, float] = {}
        # of the values of each branch's parameters: a pool has thousands
        self._tables: dict[str, dict[str, dict[Value, dict[str, float]]]] = {}
        for branch in branches:
            table = self._tables[branch.name] = {
                parameter.name: {value: _features(parameter, value) for value in parameter.values}
                for parameter in branch.space.parameters
            }
            for features in table.values():
                self._absent |= dict.fromkeys(next(iter(features.values())), ABSENT)

    def encode(self, branch: StudentSpace, values: Values, flops: int) -> list[float]:
        """A branch's point (under the names of its space) as numbers."""
        vector = dict(self._absent)
        table = self._tables[branch.name]
        for parameter in branch.space.parameters:
            value = values[parameter.name]
            features = table[parameter.name].get(value) or _features(parameter, value)
            if parameter.name == "teacher_loss":
                share = float(values.get("teacher_share", 1.0))
                features = {name: share * feature for name, feature in features.items()}
            vector |= features
        which = [float(name == branch.name) for name in self._names]
        return [math.log10(flops) / DECADES, *which, *vector.values()]


def _features(parameter: Parameter, value: Value) -> dict[str, float]:
    """By name, at this value; none for a constant."""
    distribution = parameter.distribution
    if len(parameter.values) == 1:
        return {}
    if isinstance(distribution, CategoricalDistribution):
        return {f"{parameter.name}={choice}": float(choice == value) for choice in parameter.values}
    low, high = (float(end) for end in (parameter.values[0], parameter.values[-1]))
    log = low > 0 and (isinstance(distribution, IntDistribution) or getattr(distribution, "log", False))
    place = math.log if log else float
    return {parameter.name: (place(float(value)) - place(low)) / (place(high) - place(low))}


class Surrogate:
    """A Gaussian process around a straight line in log10 FLOPs; made from scores, and of those alone."""

    def __init__(self, features: Array, psnr: Array, variance: Array) -> None:
        """From features [n, d], scores [n] in dB, and how uncertain each is beyond the noise of all [n], in dB^2."""
        self._slope, self._offset = _line(features[:, 0], psnr)
        rest = psnr - self._trend(features)
        self._scale = float(max(rest.std(), 1e-3))
        self._features, self._rest = features, rest / self._scale
        self._variance = variance / self._scale**2
        self._process = self._fitted()

    def _fitted(self) -> GaussianProcessRegressor:
        (variance, _), (length, _), (noise, _) = PRIORS.values()
        lengths = np.full(self._features.shape[1], length)
        kernel = ConstantKernel(variance, BOUNDS) * Matern(lengths, BOUNDS, nu=2.5) + WhiteKernel(noise, BOUNDS)
        process = GaussianProcessRegressor(kernel, alpha=1e-8 + self._variance, optimizer=_most_likely)
        with warnings.catch_warnings():  # a number at its bound is one that hardly matters
            warnings.simplefilter("ignore", ConvergenceWarning)
            return process.fit(self._features, self._rest)

    def expecting(self, features: Array) -> Surrogate:
        """The same with points [m, d] whose scores are on their way, taken to be what is expected of them."""
        if not len(features):
            return self
        other = object.__new__(Surrogate)
        other._slope, other._offset, other._scale = self._slope, self._offset, self._scale
        other._features = np.concatenate([self._features, features])
        other._rest = np.concatenate([self._rest, self._process.predict(features)])
        other._variance = np.concatenate([self._variance, np.zeros(len(features))])
        other._process = GaussianProcessRegressor(self._process.kernel_, alpha=1e-8 + other._variance, optimizer=None)
        other._process.fit(other._features, other._rest)
        return other

    def __call__(self, features: Array) -> tuple[Array, Array]:
        """The mean and the deviation in dB [m] of what students at these points [m, d] will score."""
        mean, deviation = self._process.predict(features, return_std=True)
        return self._trend(features) + self._scale * mean, self._scale * deviation

    def _trend(self, features: Array) -> Array:
        return self._offset + self._slope * features[:, 0]


def _line(x: Array, y: Array) -> tuple[float, float]:
    """Slope and offset of the least squares line; flat where there is one x."""
    if np.ptp(x) < 1e-6:
        return 0.0, float(y.mean())
    slope, offset = np.polyfit(x, y, 1)
    return float(slope), float(offset)


def _most_likely(objective: Objective, start: Array, bounds: Array) -> tuple[Array, float]:
    """The logarithms of the kernel's numbers that scores and priors together favour, from the priors' middle."""
    widths = np.array([PRIORS["variance"][1], *[PRIORS["length"][1]] * (len(start) - 2), PRIORS["noise"][1]])

    def penalised(theta: Array) -> tuple[float, Array]:
        value, gradient = objective(theta)
        away = (theta - start) / widths
        return value + 0.5 * float(away @ away), gradient + away / widths

    found = minimize(penalised, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS})
    return found.x, found.fun
