"""Latency as what a search weighs PSNR against: measured once for each network, guessed from those for all others."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from autocompress.errors import RunError, SpaceError
from autocompress.evaluation.latency import Machine, timed
from autocompress.io import checkpoints
from autocompress.networks import find_family
from autocompress.networks.base import Config, Family
from autocompress.search.sampling.surrogate import Encoding, Surrogate
from autocompress.search.space.budget import Budget
from autocompress.search.space.cost import LATENCY_MS
from autocompress.search.space.joint_space import JointSpace, StudentSpace

FILE = "latencies.json"
LIMIT = 1.0  # seconds of timed runs for each network
LEVELS = 8  # of FLOPs, at each of which a deep and a wide network are measured before the search...
FAR = 2.0  # ...up to this many times the budget

Network = tuple[str, Config]  # family and config: all that a latency depends on


class Latencies:
    """Those of a search on one machine, in milliseconds; they are kept in its folder, so each is measured once.

    To be asked while nothing else runs on the machine. A guess is a Gaussian process's, of the logarithm, from what has
    been measured so far; what is measured is its own guess.
    """

    metric = "latency (ms)"

    def __init__(self, branches: JointSpace, budget: Budget, machine: Machine, folder: Path) -> None:
        """RunError where what is kept in the folder cannot be read."""
        self.machine = machine
        self._branches = branches
        self._budget = budget
        self._file = folder / FILE
        self._keeps = self._file.is_file()
        self._measured = self._read() if self._keeps else {}
        self._encoding = Encoding(branches)
        self._features = {
            (branch.family.name, config): self._encoding.encode(branch, values, branch.family.flops(config))
            for branch in branches
            for values, config in branch.space.sizes(branch.teacher.config)
        }
        self._guesses: dict[Network, float] = {}

    def latency(self, family: Family, config: Config) -> float:
        """See `Costs.latency`."""
        network = family.name, config
        if network not in self._measured:
            self._measured[network] = timed(family.build(config), self.machine, LIMIT).median
            self._guesses.clear()
            self._write()
        return self._measured[network]

    def guess(self, family: Family, config: Config) -> float:
        """See `Costs.guess`; a network that is in no space of the search is measured."""
        network = family.name, config
        if network in self._measured:
            return self._measured[network]
        if not self._guesses:
            self._guesses = self._predicted()
        guessed = self._guesses.get(network)
        return self.latency(family, config) if guessed is None else guessed

    def calibrate(self, on_measure: Callable[[str], None]) -> None:
        """Measure teachers, and networks of all sizes, the small ones first, to guess the others from.

        SpaceError, naming the smallest network, where not even that is within the budget.
        """
        for branch in self._branches:
            on_measure(f"measuring latencies: {branch.teacher_name}")
            self.latency(branch.family, branch.teacher.config)
            for level, configs in enumerate(self._ladder(branch)):
                on_measure(f"measuring latencies: networks of {branch.name}, level {level + 1} of {LEVELS}")
                found = [self.latency(branch.family, config) for config in configs]
                if level == 0:
                    self._check(branch, configs[0])
                if self._budget.latency is not None and min(found) > FAR * self._budget.latency:
                    break

    def _ladder(self, branch: StudentSpace) -> list[list[Config]]:
        """At each of LEVELS of FLOPs within the budget the networks next to it with the most and the least parameters.

        At equal FLOPs more parameters are more channels and fewer layers.
        """
        family = branch.family
        configs = {config for _, config in branch.space.sizes(branch.teacher.config)}
        sizes = sorted(
            ((family.flops(config), family.params(config), config) for config in configs),
            key=lambda size: (size[0], size[1], repr(size[2])),
        )
        inside = [size for size in sizes if self._budget.without_latency().allows(size[0], size[1])] or sizes[:1]
        low, high = math.log(inside[0][0]), math.log(inside[-1][0])
        ladder = [[inside[0][2]]]
        for level in range(1, LEVELS):
            target = low + (high - low) * level / (LEVELS - 1)
            near = sorted(inside, key=lambda size: abs(math.log(size[0]) - target))[: max(2, len(inside) // LEVELS)]
            ends = {config: None for _, _, config in (max(near, key=_width), min(near, key=_width))}
            ladder.append(list(ends))
        return ladder

    def _check(self, branch: StudentSpace, smallest: Config) -> None:
        found, limit = self.latency(branch.family, smallest), self._budget.latency
        if limit is not None and found > limit:
            counts = branch.family.counts_of(smallest)
            shape = ", ".join(f"{count.field} {counts[count.field]}" for count in branch.family.counts)
            raise SpaceError(
                f"no network of the space {branch.name} is within {self._budget}: the smallest ({shape}) takes "
                f"{found:.4g} ms on {self.machine}; raise --budget-latency or widen the space"
            )

    def settled(self) -> list[str]:
        """See `Costs.settled`."""
        self._keeps = True
        self._write()
        teachers = ((b.teacher_name, self.latency(b.family, b.teacher.config)) for b in self._branches)
        listed = ", ".join(f"teacher {name} {ms:.1f} ms" for name, ms in teachers)
        return [f"latency     on {self.machine}: {listed}; {len(self._measured)} networks measured so far"]

    def _predicted(self) -> dict[Network, float]:
        """Of all networks."""
        known = [(self._features[network], ms) for network, ms in self._measured.items() if network in self._features]
        features = np.array([row for row, _ in known])
        logarithms = np.log10([ms for _, ms in known])
        predictor = Surrogate(features, logarithms, np.zeros(len(known)))
        means, _ = predictor(np.array(list(self._features.values())))
        return {network: float(10**mean) for network, mean in zip(self._features, means, strict=True)}

    def _write(self) -> None:
        if self._keeps:
            networks = [
                {"family": family, "config": config.to_dict(), LATENCY_MS: ms}
                for (family, config), ms in self._measured.items()
            ]
            checkpoints.write_json(self._file, {"machine": asdict(self.machine), "networks": networks})

    def _read(self) -> dict[Network, float]:
        try:
            content: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            return {_network(known): float(known[LATENCY_MS]) for known in content["networks"]}
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{self._file}: not readable as latencies ({error}); restore or remove it") from error


def _network(known: dict[str, Any]) -> Network:
    return known["family"], find_family(known["family"]).config_class.from_dict(known["config"])


def _width(size: tuple[int, int, Config]) -> float:
    """Parameters for each of the FLOPs... see `_ladder`."""
    return size[1] / size[0]
