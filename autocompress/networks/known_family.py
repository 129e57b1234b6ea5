"""A family of networks that are declared in this package, layer by layer: how they are counted and stored."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from typing_extensions import override

from autocompress.networks.base import Config, SRNetwork
from autocompress.networks.engine_family import EngineFamily
from autocompress.networks.layers import Layer, flops_at_720p
from autocompress.networks.weights import with_weights


class KnownFamily(EngineFamily):
    """A family says which layers its networks have."""

    @abstractmethod
    def layers(self, config: Config) -> Iterable[Layer]:
        """Every layer that costs anything."""

    def program_layers(self, config: Config) -> Iterable[Layer]:
        """Those of the equal network that `for_programs` makes."""
        return self.layers(config)

    @override
    def flops(self, config: Config) -> int:
        return flops_at_720p(self.layers(config), config.scale)

    @override
    def program_flops(self, config: Config) -> int:
        return flops_at_720p(self.program_layers(config), config.scale)

    @override
    def params(self, config: Config) -> int:
        return sum(layer.params for layer in self.layers(config))

    @override
    def for_export(self, network: SRNetwork) -> SRNetwork:
        """A copy, as its every setting is in its tensors."""
        return with_weights(self, network.config, network.state_dict())
