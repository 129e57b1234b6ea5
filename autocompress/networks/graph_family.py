"""Families whose students the engine makes: from the graph of their networks alone, with no table of axes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Container

import torch
from torch import Tensor, nn
from typing_extensions import override

from autocompress.errors import ConfigError
from autocompress.networks.base import Config, Family, Shrinker, SRNetwork, Weights
from autocompress.progress import OnDone, untold
from autocompress.shrink.axes import AxisTable
from autocompress.shrink.density import Densities
from autocompress.shrink.engine import Projection
from autocompress.shrink.graph import Graph
from autocompress.shrink.init import Init
from autocompress.shrink.observation import Teacher, observe


class GraphFamily(Family):
    """A family declares which module of its networks is captured; students start by projection, copy or from scratch.

    Densities and first-order importances are by tables of axes (`Family.axes`), which such a family has none of.
    """

    parts = ()
    inits = (Init.PROJECTION, Init.COPY, Init.SCRATCH)

    @abstractmethod
    def captured(self, network: SRNetwork) -> nn.Module:
        """The module of a network that has all its weights, and maps images (B, 3, h, w)."""

    def images_for(self, network: SRNetwork, lr: Tensor) -> Tensor:
        """What that module takes for LR images (B, 3, h, w) in [0, 1]."""
        return lr

    def varying_parts(self) -> Container[str] | None:
        """The prefixes of the repeated parts of which students may have fewer, as `shrink.parts` names them.

        None where that is not known: then all are ranked, those inside of others too, which takes long.
        """
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
        observed = self._observed(teacher, lr)
        project = Projection(observed, self.images_for(teacher, lr), analysis, refit=init == Init.PROJECTION)

        def student(config: Config) -> SRNetwork:
            network = self.build(config).to(lr.device).eval()
            project(self.captured(network))
            return network

        return student

    @override
    def analyse_for_projection(
        self, teacher: SRNetwork, lr: Tensor, seed: int, report: OnDone = untold
    ) -> dict[str, Tensor]:
        return observe(self._observed(teacher, lr), self.images_for(teacher, lr), seed, self.varying_parts(), report)

    @override
    def projection(self, teacher: SRNetwork, lr: Tensor, analysis: Weights) -> Shrinker:
        return self.shrinker(teacher, lr, Init.PROJECTION, analysis)

    @override
    def guided(self, teacher: SRNetwork, analysis: Weights, importance: Weights) -> dict[str, Tensor]:
        self.axes(teacher)
        return {}

    @override
    def suggested_counts(self, teacher: Config, layers: Densities) -> dict[str, float]:
        raise ConfigError(f"no densities of a {self.name} are read; `search` without --prune makes students of it")

    @torch.no_grad()
    def _observed(self, teacher: SRNetwork, lr: Tensor) -> Teacher:
        module = self.captured(teacher).to(lr.device).eval()
        return Teacher(Graph.capture(module, self.images_for(teacher, lr)[:1]))
