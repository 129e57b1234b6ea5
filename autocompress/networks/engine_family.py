"""Families whose students the engine projects from a captured graph; the other starts are by a table of axes."""

from __future__ import annotations

from collections.abc import Container

import torch
from torch import Tensor, nn
from typing_extensions import override

from autocompress.networks.base import Config, Family, Shrinker, SRNetwork, Weights
from autocompress.progress import OnDone, untold
from autocompress.shrink.channels import ChannelMap
from autocompress.shrink.engine import Projection
from autocompress.shrink.graph import Graph
from autocompress.shrink.observation import Teacher, observe

SIDE = 24  # pixels of an image on which a graph is captured where none is given


class EngineFamily(Family):
    """Students start by projection from a graph; a family says what is captured, where that is not the network."""

    def captured(self, network: SRNetwork) -> nn.Module:
        """The module of a network that has all its weights, and maps images (B, 3, h, w)."""
        return network

    def images_for(self, network: SRNetwork, lr: Tensor) -> Tensor:
        """What that module takes for LR images (B, 3, h, w) in [0, 1]."""
        return lr

    def varying_parts(self, network: SRNetwork) -> Container[str] | None:
        """The prefixes of the repeated parts of which students may have fewer, as `shrink.parts` names them: `parts`.

        None where that is not known: then all are ranked, those inside of others too, which takes long.
        """
        groups = (group for name in network.state_dict() for group in self.groups_of(name))
        return {group.rpartition(".")[0] + "." for group in groups}

    @override
    def analyse_for_projection(
        self, teacher: SRNetwork, lr: Tensor, seed: int, report: OnDone = untold
    ) -> dict[str, Tensor]:
        images = self.images_for(teacher, lr)
        return observe(self.observed(teacher, lr), images, seed, self.varying_parts(teacher), report)

    @override
    def projection(self, teacher: SRNetwork, lr: Tensor, analysis: Weights, refit: bool = True) -> Shrinker:
        """Without `refit` students keep whole channels, as they are."""
        project = Projection(self.observed(teacher, lr), self.images_for(teacher, lr), analysis, refit)

        def student(config: Config) -> SRNetwork:
            network = self.build(config).to(lr.device).eval()
            project(self.captured(network))
            return network

        return student

    @override
    def guided(self, teacher: SRNetwork, analysis: Weights, importance: Weights) -> dict[str, Tensor]:
        plain = self.shrinkable(teacher)
        selection = self.selection(plain, importance)
        graph = Graph.capture(plain, torch.zeros(1, 3, SIDE, SIDE, device=next(plain.parameters()).device))
        uses = ChannelMap.of(graph).uses
        axes = {
            use.axis: selection.channels[dimension.axis]
            for name, dimensions in selection.axes.dimensions.items()
            for index, dimension in enumerate(dimensions)
            if dimension.axis
            for use in uses[name, index]
        }
        holders = [name.removeprefix("parts.") for name in analysis if name.startswith("parts.")]
        changed = {f"parts.{holder}": selection.part_importance(holder.rstrip(".")) for holder in holders}
        for axis, scores in axes.items():
            # of a diagonal covariance the leading directions are the channels with the largest entries
            changed[f"covariance.{axis}"] = torch.diag(scores.double())[None]
            changed[f"sensitivity.{axis}"] = torch.eye(len(scores)).double()[None]
            changed[f"importance.{axis}"] = scores.double()[None]
        return {name: changed.get(name, tensor).to(tensor.device) for name, tensor in analysis.items()}

    def observed(self, teacher: SRNetwork, lr: Tensor) -> Teacher:
        """What is captured of a teacher on LR images, with its axes."""
        module = self.captured(teacher).to(lr.device).eval()
        return Teacher(Graph.capture(module, self.images_for(teacher, lr)[:1]))
