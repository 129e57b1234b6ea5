"""A family of networks that are declared in this package: how they are counted and stored."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from autocompress.io import package_files
from autocompress.networks.base import Config, SRNetwork, narrowed
from autocompress.networks.engine_family import EngineFamily
from autocompress.networks.known_network import KnownConfig, KnownNetwork
from autocompress.networks.layers import flops_at_720p


class KnownFamily(EngineFamily):
    """A family of `KnownConfig` and `KnownNetwork`, which say how they are counted and stored."""

    config_class: ClassVar[type[KnownConfig]]
    network_class: ClassVar[type[KnownNetwork]]

    def __init_subclass__(cls) -> None:
        """With what the files in the family's folder declare."""
        presets = package_files.presets(cls.name)
        cls.presets = MappingProxyType({name: cls.config_class.from_dict(fields) for name, fields in presets.items()})
        cls.overrides = package_files.overrides(cls.name)

    @override
    def flops(self, config: Config) -> int:
        return flops_at_720p(narrowed(self.config_class, config).layers(), config.scale)

    @override
    def program_flops(self, config: Config) -> int:
        return flops_at_720p(narrowed(self.config_class, config).program_layers(), config.scale)

    @override
    def params(self, config: Config) -> int:
        return sum(layer.params for layer in narrowed(self.config_class, config).layers())

    @override
    def for_export(self, network: SRNetwork) -> SRNetwork:
        return narrowed(self.network_class, network).for_export()

    @override
    def for_programs(self, network: SRNetwork) -> SRNetwork:
        return narrowed(self.network_class, network).for_programs()

    @override
    def official_tensors(self, network: SRNetwork) -> dict[str, Tensor]:
        return narrowed(self.network_class, network).official_tensors()

    @override
    def official_code(self, config: Config) -> tuple[str, str] | None:
        return narrowed(self.config_class, config).official_code()
