"""Configs and networks that are declared in this package: their layers, and how they are exported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor
from typing_extensions import override

from autocompress.networks.base import Config, SRNetwork
from autocompress.networks.layers import Layer, receptive_radius

RGB_MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K, as official code of EDSR and SwinIR has it


class KnownConfig(Config, ABC):
    """A config that says which layers its network has."""

    @abstractmethod
    def layers(self) -> Sequence[Layer]:
        """Every layer that costs anything, or lets a pixel see further."""

    def program_layers(self) -> Sequence[Layer]:
        """Those of the equal network that `KnownNetwork.for_programs` makes."""
        return self.layers()

    def official_code(self) -> tuple[str, str] | None:
        """See `Family.official_code`."""
        return None


class KnownNetwork(SRNetwork):
    """A network with such a config, whose layers stand one behind the other unless it says otherwise (`margin`)."""

    config: KnownConfig

    @property
    @override
    def margin(self) -> int:
        """All that a pixel depends on."""
        return receptive_radius(self.config.layers())

    def for_export(self) -> Self:
        """See `Family.for_export`: a copy, as its every setting is in its tensors."""
        return self.made_of(self.config, self.state_dict())

    def for_programs(self) -> Self:
        """See `Family.for_programs`."""
        return self.for_export()

    def official_tensors(self) -> dict[str, Tensor]:
        """See `Family.official_tensors`."""
        return dict(self.state_dict())

    @classmethod
    def made_of(cls, config: Config, tensors: Mapping[str, Tensor]) -> Self:
        """The network of a config with these tensors, copied, in eval mode."""
        made = cls(config)
        made.load_state_dict(tensors)
        return made.eval()


def rgb_mean() -> Tensor:
    """`RGB_MEAN` for images (B, 3, H, W): (1, 3, 1, 1)."""
    return torch.tensor(RGB_MEAN).view(1, 3, 1, 1)
