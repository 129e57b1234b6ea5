"""Latency as what a search weighs PSNR against: measured once for each network, guessed from those for all others."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from autocompress.errors import RunError, SpaceError
from autocompress.evaluation.latency import timed
from autocompress.evaluation.records import Machine
from autocompress.io import atomic
from autocompress.io.typed import reading
from autocompress.networks import find_family
from autocompress.networks.base import Config, Family
from autocompress.search.space.budget import Budget
from autocompress.search.space.cost import LATENCY_MS, Costs
from autocompress.search.space.encoding import Encoding
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.space.joint_space import JointSpace, Network, StudentSpace
from autocompress.units import parse_number, quantity

FILE = "latencies.json"
LIMIT = 1.0  # seconds of timed runs for each network
LEVELS = 8  # of FLOPs; at each, a deep and a wide network are measured before the search
STOP_ABOVE = 2.0  # times the budget: networks beyond are not measured before the search

NetworkKey = tuple[str, Config]  # family and config: all that a latency depends on
Array = NDArray[np.float64]
# from features [n, d], values [n] and their variances [n] to what gives mean and deviation [m] at features [m, d]
Regression = Callable[[Array, Array, Array], Callable[[Array], tuple[Array, Array]]]


class Latencies(Costs):
    """Those of a search on one machine, in milliseconds; they are stored in its folder, so each is measured once.

    Only to be used while nothing else runs on the machine. A guess is by a regression of the logarithm over what has
    been measured so far; what is measured is its own guess.
    """

    metric = "latency (ms)"

    def __init__(
        self, joint_space: JointSpace, budget: Budget, machine: Machine, folder: Path, regression: Regression
    ) -> None:
        self.machine = machine
        self._joint_space = joint_space
        self._budget = budget
        self._file = folder / FILE
        self._regression = regression
        self._measured: dict[NetworkKey, float] = {}
        self._guesses: dict[NetworkKey, float] = {}
        self._stores = False

    @classmethod
    def open(
        cls, joint_space: JointSpace, budget: Budget, machine: Machine, folder: Path, regression: Regression
    ) -> Latencies:
        """Open the latencies that an earlier session has measured; RunError if their file cannot be read, or is of
        another machine."""
        latencies = cls(joint_space, budget, machine, folder, regression)
        if latencies._file.is_file():
            latencies._measured = _read(latencies._file, machine)
            latencies._stores = True
        return latencies

    @override
    def latency(self, family: Family, config: Config) -> float:
        network = family.name, config
        if network not in self._measured:
            self._measured[network] = timed(family.build(config), self.machine, LIMIT).median
            self._guesses.clear()
            self._write()
        return self._measured[network]

    @override
    def guess(self, family: Family, config: Config) -> float:
        """A guess of milliseconds; a network that is in no space of the search is measured."""
        network = family.name, config
        if network in self._measured:
            return self._measured[network]
        if not self._guesses:
            self._guesses = self._predict_all()
        guess = self._guesses.get(network)
        return self.latency(family, config) if guess is None else guess

    @override
    def store(self) -> None:
        self._stores = True
        self._write()

    @override
    def facts(self) -> list[str]:
        teachers = ((s.teacher_name, self.latency(s.teacher_family, s.teacher.config)) for s in self._joint_space)
        listed = ", ".join(f"teacher {name} {ms:.1f} ms" for name, ms in teachers)
        return [f"latency     on {self.machine}: {listed}; {quantity(len(self._measured), 'network')} measured so far"]

    def calibrate(self, on_measure: Callable[[str], None]) -> None:
        """Measure teachers, and networks of all sizes, the small ones first, to guess the others from.

        SpaceError, naming the smallest network, where not even that is within the budget.
        """
        for student_space in self._joint_space:
            on_measure(f"measuring latencies: {student_space.teacher_name}")
            self.latency(student_space.teacher_family, student_space.teacher.config)
            for level, networks in enumerate(self._ladder(student_space)):
                on_measure(f"measuring latencies: networks of {student_space.name}, level {level + 1} of {LEVELS}")
                latencies = [self.latency(student_space.family, network.config) for network in networks]
                if level == 0:
                    self._check_smallest(student_space, networks[0])
                if self._budget.latency is not None and min(latencies) > STOP_ABOVE * self._budget.latency:
                    break

    def _ladder(self, student_space: StudentSpace) -> list[list[Network]]:
        """The smallest network, then for each further of LEVELS of FLOPs a wide one and a deep one near it.

        At equal FLOPs more parameters are more channels and fewer layers. All are within the budgets for FLOPs and
        parameters, where any is.
        """
        counted = FeasibleSet(self._joint_space, self._budget.without_latency())
        networks = {network.config: network for network in counted.within(student_space)}
        by_size = sorted(networks.values(), key=lambda n: (n.flops, n.params, repr(n.config)))
        inside = by_size or [counted.smallest(student_space)]
        low, high = math.log(inside[0].flops), math.log(inside[-1].flops)
        ladder = [[inside[0]]]
        for level in range(1, LEVELS):
            target = low + (high - low) * level / (LEVELS - 1)
            by_distance = sorted(inside, key=lambda network: abs(math.log(network.flops) - target))
            near = by_distance[: max(2, len(inside) // LEVELS)]
            widest, deepest = max(near, key=_params_per_flop), min(near, key=_params_per_flop)
            ladder.append([widest] if widest is deepest else [widest, deepest])
        return ladder

    def _check_smallest(self, student_space: StudentSpace, smallest: Network) -> None:
        latency = self.latency(student_space.family, smallest.config)
        if not self._budget.allows(smallest.flops, smallest.params, latency):
            raise SpaceError(
                f"no network of the space {student_space.name} is within {self._budget}: the smallest "
                f"({student_space.shape(smallest)}) takes {latency:.4g} ms on {self.machine}; "
                "raise --budget-latency or widen the space"
            )

    @functools.cached_property
    def _features(self) -> dict[NetworkKey, list[float]]:
        """The features of all networks of the search."""
        encoding = Encoding(self._joint_space)
        return {
            (student_space.family.name, network.config): encoding.encode(student_space, network.values, network.flops)
            for student_space in self._joint_space
            for network in student_space.networks.values()
        }

    def _predict_all(self) -> dict[NetworkKey, float]:
        """Guesses for all networks of the search."""
        measured = [
            (self._features[network], ms) for network, ms in self._measured.items() if network in self._features
        ]
        features = np.array([row for row, _ in measured])
        logarithms = np.log10([ms for _, ms in measured])
        predict = self._regression(features, logarithms, np.zeros(len(measured)))
        means, _ = predict(np.array(list(self._features.values())))
        return {network: float(10**mean) for network, mean in zip(self._features, means, strict=True)}

    def _write(self) -> None:
        if self._stores:
            networks = [
                {"family": family, "config": config.to_dict(), LATENCY_MS: ms}
                for (family, config), ms in self._measured.items()
            ]
            atomic.write_json(self._file, {"machine": asdict(self.machine), "networks": networks})


def _read(file: Path, here: Machine) -> dict[NetworkKey, float]:
    with reading(file, "not readable as latencies"):
        content = atomic.read_json(file)
        machine = Machine(**content["machine"])
        if str(machine) != str(here):  # a GPU is the same with any number of threads
            raise RunError(f"{file}: measured on {machine}, but this is {here}; remove it, and they are measured again")
        return {_network_key(stored): parse_number(str(stored[LATENCY_MS])) for stored in content["networks"]}


def _network_key(stored: dict[str, Any]) -> NetworkKey:
    return stored["family"], find_family(stored["family"]).config_class.from_dict(stored["config"])


def _params_per_flop(network: Network) -> float:
    return network.params / network.flops
