"""The surrogate: a Gaussian process over encoded points that predicts a student's score and how uncertain that is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, Matern, WhiteKernel

Array = NDArray[np.float64]
Objective = Callable[[Array], tuple[float, Array]]  # the negative log likelihood, and its gradient

# Normal priors (mean, deviation) of the logarithms of the kernel's hyperparameters, which keep few scores from deciding
# too much. Length scales are in units of a parameter's range.
PRIORS = {"variance": (1.0, 1.0), "length": (1.5, 1.0), "noise": (0.02, 1.5)}
BOUNDS = (1e-6, 1e4)
ITERATIONS = 20  # of L-BFGS
JITTER = 1e-8  # added to the covariance's diagonal, so that it can be factorised


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A Gaussian process of what scores are above a straight line in the first feature, log10 FLOPs.

    `residuals` [n] are the scores' at `features` [n, d], in units of `scale` dB; `variance` [n], in the same units
    squared, is how uncertain each is beyond the noise of all. `process` is fitted to them.
    """

    slope: float
    offset: float
    scale: float
    features: Array
    residuals: Array
    variance: Array
    process: GaussianProcessRegressor

    @classmethod
    def fit(cls, features: Array, scores: Array, variance: Array) -> Surrogate:
        """From features [n, d], scores [n] in dB, and how uncertain each is beyond the noise of all [n], in dB^2."""
        slope, offset = _line(features[:, 0], scores)
        residuals = scores - (offset + slope * features[:, 0])
        scale = float(max(residuals.std(), 1e-3))
        residuals, variance = residuals / scale, variance / scale**2
        process = _process(_kernel(features.shape[1]), features, residuals, variance, optimizer=_maximum_a_posteriori)
        return cls(slope, offset, scale, features, residuals, variance, process)

    def expecting(self, features: Array) -> Surrogate:
        """The surrogate as if the points [m, d], which are still in training, had scored their predicted means."""
        if not len(features):
            return self
        all_features = np.concatenate([self.features, features])
        residuals = np.concatenate([self.residuals, self.process.predict(features)])
        variance = np.concatenate([self.variance, np.zeros(len(features))])
        process = _process(self.process.kernel_, all_features, residuals, variance, optimizer=None)
        return replace(self, features=all_features, residuals=residuals, variance=variance, process=process)

    def __call__(self, features: Array) -> tuple[Array, Array]:
        """Mean and deviation in dB [m] of the scores at points [m, d]."""
        mean, deviation = self.process.predict(features, return_std=True)
        return self.offset + self.slope * features[:, 0] + self.scale * mean, self.scale * deviation


def _kernel(dimensions: int) -> Kernel:
    (variance, _), (length, _), (noise, _) = PRIORS.values()
    matern = Matern(np.full(dimensions, length), BOUNDS, nu=2.5)
    return ConstantKernel(variance, BOUNDS) * matern + WhiteKernel(noise, BOUNDS)


def _process(
    kernel: Kernel, features: Array, residuals: Array, variance: Array, optimizer: Callable[..., object] | None
) -> GaussianProcessRegressor:
    process = GaussianProcessRegressor(kernel, alpha=JITTER + variance, optimizer=optimizer)
    with warnings.catch_warnings():  # a hyperparameter at its bound is one that hardly matters
        warnings.simplefilter("ignore", ConvergenceWarning)
        return process.fit(features, residuals)


def _line(x: Array, y: Array) -> tuple[float, float]:
    """Slope and offset of the least squares line; flat where all x are the same."""
    if np.ptp(x) < 1e-6:
        return 0.0, float(y.mean())
    slope, offset = np.polyfit(x, y, 1)
    return float(slope), float(offset)


def _maximum_a_posteriori(objective: Objective, start: Array, bounds: Array) -> tuple[Array, float]:
    """Maximum a posteriori logarithms of the kernel's hyperparameters, searched from the means of their priors."""
    widths = np.array([PRIORS["variance"][1], *[PRIORS["length"][1]] * (len(start) - 2), PRIORS["noise"][1]])

    def penalised(theta: Array) -> tuple[float, Array]:
        value, gradient = objective(theta)
        deviations = (theta - start) / widths
        return value + 0.5 * float(deviations @ deviations), gradient + deviations / widths

    result = minimize(penalised, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS})
    return result.x, result.fun
