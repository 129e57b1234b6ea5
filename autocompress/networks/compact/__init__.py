"""The Compact family: all that is particular to it stands in this folder, and only `registry` names it.

`CompactFamily` declares what networks.known_family asks of a family; `network` is the config and the network,
`teaching` makes students of teachers of other families. Students of a Compact teacher are the engine's. It may import
`networks` (base, known_family, known_network, weights, recipes), `shrink` and what is below them, and no other family.
"""

from __future__ import annotations

import math

from torch import Tensor
from typing_extensions import override

from autocompress.errors import CheckpointError, ConfigError
from autocompress.networks import reading
from autocompress.networks.base import Config, Count, Shrinker, SRNetwork, Weights, narrowed
from autocompress.networks.compact import teaching
from autocompress.networks.compact.network import Compact, CompactConfig
from autocompress.networks.known_family import KnownFamily
from autocompress.networks.tails import SCALES
from autocompress.progress import OnDone, untold
from autocompress.shrink.init import Init


class CompactFamily(KnownFamily):
    """A row of convolutions with PReLU, of which a network of any family can be the teacher."""

    name = "compact"
    config_class = CompactConfig
    network_class = Compact
    counts = (Count("num_feat", 1, "features"), Count("num_conv", 1, "convolutions"))
    any_teacher = True

    @override
    def check_init(self, init: str, teacher: SRNetwork) -> None:
        if init not in (Init.PROJECTION, Init.SCRATCH) and not isinstance(teacher, Compact):
            raise ConfigError(
                f"init {init} takes channels of a Compact, but the teacher is {teacher.family}; leave --init out"
            )

    @override
    def read(self, tensors: Weights) -> tuple[Config, dict[str, Tensor]] | None:
        """Real-ESRGAN's files with PReLU; those with other activations have no tensors for them, and are not known."""
        first, slopes = tensors.get("body.0.weight"), tensors.get("body.1.weight")
        if first is None or slopes is None or first.dim() != 4 or slopes.dim() != 1:
            return None
        return reading.read(tensors, "a Compact", _infer, Compact, _described)

    @override
    def analyse(
        self, teacher: SRNetwork, lr: Tensor, init: str, seed: int, report: OnDone = untold
    ) -> dict[str, Tensor]:
        if isinstance(teacher, Compact):
            return super().analyse(teacher, lr, init, seed, report)
        return teaching.analyse(teacher, lr, seed, report)

    @override
    def shrinker(self, teacher: SRNetwork, lr: Tensor, init: str, analysis: Weights) -> Shrinker:
        if isinstance(teacher, Compact):
            return super().shrinker(teacher, lr, init, analysis)
        start = teaching.Start(lr, analysis)
        return Shrinker(lambda config: start.steps(narrowed(CompactConfig, config)))

    @override
    def limits(self, teacher: Config) -> dict[str, float]:
        """None where the teacher is no Compact."""
        if isinstance(teacher, CompactConfig):
            return super().limits(teacher)
        return {count.field: math.inf for count in self.counts}


def _infer(shapes: reading.Shapes) -> CompactConfig:
    last = shapes.count(r"body\.(\d+)\.weight") - 1
    shape = shapes.of(f"body.{last}.weight", 4)
    scale = math.sqrt(shape[0] / 3)
    if scale not in SCALES:
        raise CheckpointError(f"this Compact ends in a weight of shape {shape}, which is no x2, x3 or x4 of RGB")
    return CompactConfig(int(scale), shapes.features("body.0.weight"), last // 2 - 1)


def _described(config: CompactConfig) -> str:
    return f"of {config.num_feat} features and {config.num_conv} convolutions"
