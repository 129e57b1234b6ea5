"""What PSNR is weighed against: FLOPs, which follow from a config, or latency, which is measured (latencies.py)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Protocol

from typing_extensions import override

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

    def store(self) -> None:
        """The run's folder exists now: from now on what is measured is stored in it."""

    def facts(self) -> list[str]:
        """Lines for the user, such as what the teachers cost."""


class Flops(Costs):
    """For a 1280x720 output: nothing to measure, nothing to guess."""

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


def cost_of(described: Mapping[str, Any]) -> float:
    """What a student costs by its student.json or its trial's attributes: latency where that counts, else FLOPs."""
    return float(described.get(LATENCY_MS, described["flops"]))
