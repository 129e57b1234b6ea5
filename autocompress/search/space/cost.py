"""What PSNR is weighed against: FLOPs, which follow from a config, or latency, which is measured (latencies.py)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Protocol

from autocompress.compute.runtimes import RUNTIMES
from autocompress.networks.base import Config, Family

LATENCY_MS = RUNTIMES["pytorch"].column  # of a student.json and a trial's user attributes, where latency is what counts


class Costs(Protocol):
    """Of any network of a search; the same network's is the same whenever it is asked for."""

    metric: str  # its name, for people

    def latency(self, family: Family, config: Config) -> float | None:
        """Milliseconds, measured now or before; None where FLOPs are what counts."""

    def guess(self, family: Family, config: Config) -> float:
        """What a network costs, or is likely to cost, without running it."""

    def settled(self) -> list[str]:
        """The run's folder is there: keep in it what is measured; returns lines for the user."""


class Flops:
    """For a 1280x720 output: nothing to measure, nothing to guess."""

    metric = "FLOPs (1280x720)"

    def latency(self, family: Family, config: Config) -> float | None:
        """See `Costs.latency`."""
        return None

    def guess(self, family: Family, config: Config) -> float:
        """See `Costs.guess`."""
        return _counted(family, config)

    def settled(self) -> list[str]:
        """See `Costs.settled`."""
        return []


@functools.lru_cache(maxsize=100_000)
def _counted(family: Family, config: Config) -> int:
    """Kept: a sampler asks for hundreds of the same networks for each trial."""
    return family.flops(config)


COUNTED: Costs = Flops()


def cost_of(described: Mapping[str, Any]) -> float:
    """A student's, of its student.json or its trial's user attributes: latency where that counts, else FLOPs."""
    return float(described.get(LATENCY_MS, described["flops"]))
