"""How the students of a family are made: by the engine, from the graph of its networks alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from autocompress.networks.base import Config, Family, Making, Shrinker, SRNetwork, Weights
from autocompress.networks.effects import varying_parts
from autocompress.networks.suggestions import suggested_counts
from autocompress.networks.weights import digest
from autocompress.progress import OnDone, untold
from autocompress.shrink.density import Densities
from autocompress.shrink.engine import Projection
from autocompress.shrink.graph import Graph
from autocompress.shrink.importance import summed, taylor_importance
from autocompress.shrink.init import Init
from autocompress.shrink.observation import Teacher, observe

SIDE = 24  # pixels of an image on which a graph is captured where none is given

# the one that was captured last, which takes seconds where there is attention, by family, weights, size and device
_LATEST: dict[tuple[object, ...], Teacher] = {}


class EngineFamily(Family):
    """A family says what is captured, where that is not the network itself."""

    def captured(self, network: SRNetwork) -> nn.Module:
        """The module that maps images (B, 3, h, w), with all weights, under the names of the network's state dict."""
        return network

    def images_for(self, network: SRNetwork, lr: Tensor) -> Tensor:
        """What that module takes for LR images (B, 3, h, w) in [0, 1]."""
        return lr

    def shrinkable(self, teacher: SRNetwork) -> SRNetwork:
        """The teacher as `for_export` makes it, on its device, frozen; ConfigError where it cannot be shrunk."""
        return self.for_export(teacher).to(next(teacher.parameters()).device).requires_grad_(False)

    @override
    def analyse(
        self, teacher: SRNetwork, lr: Tensor, init: str, seed: int, report: OnDone = untold
    ) -> dict[str, Tensor]:
        plain = self.shrinkable(teacher)
        seen, images = self._seen(plain, lr), self.images_for(plain, lr)
        if init == Init.TAYLOR:
            return summed(seen, taylor_importance(plain, plain.scale, lr))
        return observe(seen, images, seed, varying_parts(self, plain.config), report)

    @override
    def shrinker(self, teacher: SRNetwork, lr: Tensor, init: str, analysis: Weights) -> Shrinker:
        plain = self.shrinkable(teacher)
        refit = init == Init.PROJECTION  # the others keep whole channels, as they are
        project = Projection(self._seen(plain, lr), self.images_for(plain, lr), analysis, refit)

        def student(config: Config) -> Making:
            network = self.build(config).to(lr.device).eval()
            yield from project.steps(self.captured(network))
            return network

        return Shrinker(student)

    @override
    def guided(self, teacher: SRNetwork, analysis: Weights, importance: Weights) -> dict[str, Tensor]:
        plain = self.shrinkable(teacher)
        image = torch.zeros(1, 3, SIDE, SIDE, device=next(plain.parameters()).device)
        found = summed(self._seen(plain, image), importance)
        for name, score in list(found.items()):
            kind, _, axis = name.partition(".")
            if kind == "importance":
                # of a diagonal covariance the leading directions are the channels with the largest entries
                found[f"covariance.{axis}"] = torch.diag_embed(score)
                found[f"sensitivity.{axis}"] = torch.eye(score.shape[1]).double().expand(len(score), -1, -1)
        return {name: found.get(name, tensor).to(tensor.device) for name, tensor in analysis.items()}

    @override
    def suggested_counts(self, teacher: Config, layers: Densities) -> dict[str, float]:
        return suggested_counts(self, teacher, layers)

    def _seen(self, teacher: SRNetwork, lr: Tensor) -> Teacher:
        """What is captured of a teacher on LR images, with its axes: once for `analyse` and `shrinker` in turn."""
        key = (self, digest(teacher), lr.shape[-2:], lr.device)
        if key not in _LATEST:
            module = self.captured(teacher).to(lr.device).eval()
            _LATEST.clear()
            _LATEST[key] = Teacher(Graph.capture(module, self.images_for(teacher, lr)[:1]))
        return _LATEST[key]
