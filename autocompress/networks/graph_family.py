"""Families whose students the engine makes: from the graph of their networks alone, with no table of axes."""

from __future__ import annotations

from collections.abc import Container

from torch import Tensor
from typing_extensions import override

from autocompress.errors import ConfigError
from autocompress.networks.base import Config, Shrinker, SRNetwork, Weights
from autocompress.networks.engine_family import EngineFamily
from autocompress.progress import OnDone, untold
from autocompress.shrink.axes import AxisTable
from autocompress.shrink.density import Densities
from autocompress.shrink.init import Init


class GraphFamily(EngineFamily):
    """A family declares which module of its networks is captured; students start by projection, copy or from scratch.

    Densities and first-order importances are by tables of axes (`Family.axes`), which such a family has none of.
    """

    parts = ()
    inits = (Init.PROJECTION, Init.COPY, Init.SCRATCH)

    @override
    def varying_parts(self, network: SRNetwork) -> Container[str] | None:
        return None

    @override
    def axes(self, network: SRNetwork) -> AxisTable:
        raise ConfigError(f"students of {self.name} start by {', '.join(self.inits)}; leave --init out")

    @override
    def analyse(
        self, teacher: SRNetwork, lr: Tensor, init: str, seed: int, report: OnDone = untold
    ) -> dict[str, Tensor]:
        """The same for students that are refitted and for those that copy channels."""
        self.check_init(init, teacher)
        return self.analyse_for_projection(teacher, lr, seed, report)

    @override
    def shrinker(self, teacher: SRNetwork, lr: Tensor, init: str, analysis: Weights) -> Shrinker:
        return self.projection(teacher, lr, analysis, refit=init == Init.PROJECTION)

    @override
    def suggested_counts(self, teacher: Config, layers: Densities) -> dict[str, float]:
        raise ConfigError(f"no densities of a {self.name} are read; `search` without --prune makes students of it")
