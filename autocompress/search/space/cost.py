"""What PSNR is weighed against: FLOPs, which follow from a config, or latency, which is measured (latencies.py)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import override

from autocompress.compute.runtimes import RUNTIMES
from autocompress.search.space.budget import Budget

if TYPE_CHECKING:
    from autocompress.networks.base import Config, Family

LATENCY_MS = RUNTIMES["pytorch"].column  # of a student.json and a trial's user attributes, where latency is what counts


def allows(limit: Budget, costs: Mapping[str, Any]) -> bool:
    """Whether a student's row, or its trial's attributes, are within a budget."""
    return limit.allows(costs["flops"], costs["params"], costs.get(LATENCY_MS))


class Costs(Protocol):
    """Costs of the networks of a search; the same network has the same cost whenever it is asked for."""

    metric: str  # its name, for people

    def latency(self, family: Family, config: Config) -> float | None:
        """Milliseconds, measured now or before; None where FLOPs are what counts."""

    def guess(self, family: Family, config: Config) -> float:
        """A network's cost as far as it is known without running it: exact for FLOPs, an estimate for latency."""

    def store(self) -> None:
        """Store measurements in the run's folder from now on; to be called once it exists."""

    def facts(self) -> list[str]:
        """Lines for the user, such as what the teachers cost."""


class Flops(Costs):
    """FLOPs for a 1280x720 output: they are counted, so nothing is measured or guessed."""

    metric = "FLOPs (1280x720)"

    @override
    def latency(self, family: Family, config: Config) -> float | None:
        return None

    @override
    def guess(self, family: Family, config: Config) -> float:
        return _counted(family, config)

    @override
    def store(self) -> None:
        pass

    @override
    def facts(self) -> list[str]:
        return []


@functools.lru_cache(maxsize=100_000)
def _counted(family: Family, config: Config) -> int:
    """Cached: a sampler asks for hundreds of the same networks for each trial."""
    return family.flops(config)


COUNTED: Costs = Flops()
