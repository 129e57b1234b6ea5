"""The EDSR family: everything that is particular to it stands in this folder."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from autocompress.compute import flops
from autocompress.errors import ConfigError
from autocompress.io import package_files
from autocompress.networks.base import Config, Count, Family, Shrinker, SRNetwork, Weights
from autocompress.networks.edsr import projection, reading, selection, suggestion
from autocompress.networks.edsr.network import EDSR, MAX_LAYERS, OFFICIAL_LAYERS, EDSRConfig, conv_shapes
from autocompress.networks.recipes import FamilyRecipe, PaperNumbers, Published
from autocompress.networks.weights import with_weights
from autocompress.shrink.density import Densities


class EDSRFamily(Family):
    """Residual blocks of convolutions on one stream that is only added to."""

    name = "edsr"
    config_class = EDSRConfig
    counts = (
        Count("num_feat", 1, "features"),
        Count("num_block", 1, "blocks"),
        Count("num_layer", 1, "convolutions per block", high=MAX_LAYERS, optional=True),
    )

    overrides = package_files.overrides("edsr")
    # Pruning diverged at a rate of 2. Its whole pull, 0.03, is the paper's for this family.
    recipe = FamilyRecipe(
        learning_rate=2e-3,
        prune_learning_rate=0.2,
        prune_steps=1500,
        paper=PaperNumbers(patch_size=48, halve_at=(200_000,), prune_steps=100_000, prune_halve_at=(20_000,)),
    )
    # Of Jiang et al. 2024 (arXiv 2401.00523), as released: there it has a residual scaling of 2.
    presets = MappingProxyType({"edsrmini": EDSRConfig(2, num_feat=16, num_block=8, res_scale=2.0)})
    published = MappingProxyType({"EDSRmini": Published(11.65e9, 35.44), "EDSR-baseline": Published(316.25e9, 35.78)})

    def build(self, config: Config) -> EDSR:
        """See `Family.build`."""
        return EDSR(_edsr(config))

    def flops(self, config: Config) -> int:
        """See `Family.flops`."""
        per_pixel = sum(9 * inputs * outputs * pixels for inputs, outputs, pixels in conv_shapes(_edsr(config)))
        return flops.at_720p(per_pixel, config.scale)

    def params(self, config: Config) -> int:
        """See `Family.params`."""
        return sum((9 * inputs + 1) * outputs for inputs, outputs, _ in conv_shapes(_edsr(config)))

    def read(self, tensors: Weights) -> tuple[Config, dict[str, Tensor]] | None:
        """See `Family.read`."""
        return reading.read(tensors)

    def for_export(self, network: SRNetwork) -> SRNetwork:
        """Fold `res_scale`, which is in no tensor, into each block's last convolution."""
        config = _edsr(network.config)
        weights = network.state_dict()
        for block in range(config.num_block):
            for leaf in ("weight", "bias"):
                key = f"body.{block}.conv{config.num_layer}.{leaf}"
                weights[key] = weights[key] * config.res_scale
        return with_weights(self, _plain(config), weights)

    def official_code(self, config: Config) -> tuple[str, str] | None:
        """See `Family.official_code`: BasicSR's."""
        edsr = _edsr(config)
        if edsr.num_layer != OFFICIAL_LAYERS:
            return None
        build = f"EDSR(3, 3, num_feat={edsr.num_feat}, num_block={edsr.num_block}, upscale={edsr.scale}, res_scale=1)"
        return "from basicsr.archs.edsr_arch import EDSR", f"network = {build}"

    def student_config(self, teacher: Config, fields: Mapping[str, Any]) -> Config:
        """See `Family.student_config`; a student's residual scaling is 1."""
        return super().student_config(_plain(_edsr(teacher)), fields)

    def analyse(self, teacher: SRNetwork, lr: Tensor, init: str, seed: int) -> dict[str, Tensor]:
        """See `Family.analyse`: for `projection`, or for `copy` or `taylor` (whole channels and blocks)."""
        plain = self._plain_network(teacher)
        if init == "projection":
            return projection.analyse(plain, lr, seed)
        return selection.norm_scores(plain) if init == "copy" else selection.taylor_scores(plain, lr)

    def guided(self, teacher: SRNetwork, analysis: Weights, importance: Weights) -> dict[str, Tensor]:
        """See `Family.guided`."""
        plain = self._plain_network(teacher).cpu()
        found = selection.Selection(plain, selection.by_conv({name: one.cpu() for name, one in importance.items()}))
        kept = {"main": found.stream} | {f"hr.{stage}": scores for stage, scores in enumerate(found.hr)}
        # of a diagonal covariance the leading directions are the channels with the largest entries
        directions = {f"{name}.covariance": torch.diag(scores.double()) for name, scores in kept.items()}
        directions |= {f"{name}.sensitivity": torch.eye(len(scores)).double() for name, scores in kept.items()}
        order = found.blocks.argsort(descending=True, stable=True)
        device = analysis["output"].device
        return {**analysis, **{name: tensor.to(device) for name, tensor in (directions | {"order": order}).items()}}

    def shrinker(self, teacher: SRNetwork, lr: Tensor, init: str, analysis: Weights) -> Shrinker:
        """See `Family.shrinker`."""
        plain = self._plain_network(teacher)
        if init == "projection":
            project = projection.Projection(plain, lr, analysis)
            return lambda config: project(_edsr(config))
        select = selection.Selection(plain.cpu(), {name: scores.cpu() for name, scores in analysis.items()})
        return lambda config: select(_edsr(config))

    def _plain_network(self, teacher: SRNetwork) -> EDSR:
        """With res_scale 1, on the teacher's device; ConfigError where it cannot be shrunk."""
        num_layer = _edsr(teacher.config).num_layer
        if num_layer != OFFICIAL_LAYERS:
            raise ConfigError(
                f"this teacher has num_layer {num_layer}, but only teachers with {OFFICIAL_LAYERS} convolutions per "
                "block can be shrunk; take another teacher, or init scratch"
            )
        plain = self.for_export(teacher).to(next(teacher.parameters()).device).requires_grad_(False)
        assert isinstance(plain, EDSR)
        return plain

    def groups_of(self, layer: str) -> tuple[str, ...]:
        """See `Family.groups_of`."""
        return suggestion.groups_of(layer)

    def suggest(self, teacher: Config, layers: Densities) -> Config:
        """See `Family.suggest`."""
        return self.student_config(teacher, suggestion.suggested_counts(_edsr(teacher), layers))


def _edsr(config: Config) -> EDSRConfig:
    assert isinstance(config, EDSRConfig)
    return config


def _plain(config: EDSRConfig) -> EDSRConfig:
    return EDSRConfig(config.scale, config.num_feat, config.num_block, config.num_layer)
