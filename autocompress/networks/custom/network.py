"""A network of a user's own code as one of the package's, and its config: the arguments of that code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from autocompress.errors import ConfigError
from autocompress.networks.base import Config, Family, SRNetwork
from autocompress.networks.custom.code import printing_aside

SMALL = 32  # LR pixels; images with a shorter side are none that a network is tried on
MARGIN = 32  # LR pixels; what such a network sees around a pixel is not known


@dataclass(frozen=True)
class CustomConfig(Config):
    """`arguments` are those of the code, as JSON, so that configs can be compared; values of an image are up to
    `input_range`, 1 or 255."""

    arguments: str = "{}"
    input_range: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.input_range > 0:
            raise ConfigError(f"input_range is {self.input_range}, but must be 1 or 255, or what else is the largest")

    @classmethod
    def of(cls, scale: int, arguments: Mapping[str, Any], input_range: float = 1.0) -> Self:
        """With these arguments, of plain JSON types; raises ConfigError for others."""
        try:
            text = json.dumps(dict(sorted(arguments.items())))
        except TypeError as error:
            raise ConfigError(f"an argument of the code is no number, word or list ({error}); leave it out") from error
        return cls(scale, text, input_range)

    @property
    def values(self) -> dict[str, Any]:
        """The arguments by name."""
        values: dict[str, Any] = json.loads(self.arguments)
        return values

    @override
    def to_dict(self) -> dict[str, Any]:
        return {"scale": self.scale, "arguments": self.values, "input_range": self.input_range}

    @classmethod
    @override
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        arguments = fields.get("arguments", {})
        if not isinstance(arguments, Mapping):
            raise ConfigError(f"arguments are {arguments!r}, but must be a mapping")
        return cls.of(fields["scale"], arguments, float(fields.get("input_range", 1.0)))


class CustomNetwork(SRNetwork):
    """A module that the code of `family` made; it knows its family, since others of its name have other arguments."""

    def __init__(self, family: Family, config: CustomConfig, module: nn.Module) -> None:
        super().__init__(config)
        self.family = family.name
        self.made_by = family
        self.network = module
        self.input_range = config.input_range

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: the family comes first, and runs the code there that has the module's class."""
        return CustomNetwork, (self.made_by, self.config, self.network), {"training": self.training}

    @override
    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Under the names that the user's own code gives, so that its students load there."""
        return self.network.state_dict(*args, **kwargs)

    @override
    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        return self.network.load_state_dict(state_dict, strict, assign)

    @property
    @override
    def margin(self) -> int:
        return MARGIN

    @override
    def features(self, lr: Tensor) -> Tensor:
        """The images: where such a network has features at LR is not known.

        A network that takes no images so small, such as one that pools in windows, is given them with their outermost
        pixels repeated, and what it makes of these is cut off.
        """
        height, width = lr.shape[-2:]
        try:
            return self._run(lr)
        except Exception:  # code of others raises anything
            if height >= SMALL and width >= SMALL:
                raise
        padding = (0, max(0, SMALL - width), 0, max(0, SMALL - height))
        return self._run(F.pad(lr, padding, mode="replicate"))[..., : self.scale * height, : self.scale * width]

    def _run(self, lr: Tensor) -> Tensor:
        """The user's own network, whatever the range of its images."""
        with printing_aside():
            sr: Tensor = self.network(lr * self.input_range)
        return sr / self.input_range

    @override
    def upsampled(self, features: Tensor, height: int, width: int) -> Tensor:
        return features

    @override
    def exact(self) -> list[nn.Module]:
        """The convolutions that read colours or make them: with their weights in bf16 whole images get darker or
        brighter by up to half a grey level where the colours have no way around them, as in PlainUSR."""
        colours = {3, 3 * self.scale**2}
        convs = (module for module in self.network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d))
        return [conv for conv in convs if conv.in_channels == 3 or conv.out_channels in colours]

    @override
    def repeated(self) -> list[nn.Module]:
        """The whole network, as one part: which of its modules are alike is not known."""
        return [self.network]


def measured_scale(module: nn.Module, side: int = 32, odd: bool = True) -> int:
    """The factor by which a network enlarges; ConfigError where it maps no (B, 3, H, W) to (B, 3, sH, sW).

    It is tried on an image of `side` pixels, and, unless `odd` is False, on one whose sides are odd.
    """
    scale = 0
    for height, width in ((side, side + 16), *([(side + 5, side + 15)] if odd else [])):
        made = _made(module.eval(), torch.zeros(1, 3, height, width), scale > 0)
        shape = tuple(made.shape) if isinstance(made, Tensor) else None
        scale = scale or (0 if shape is None or len(shape) != 4 else shape[-1] // width)
        if shape != (1, 3, scale * height, scale * width) or scale < 2:
            raise ConfigError(
                f"the network makes {shape or f'a {type(made).__name__}'} of (1, 3, {height}, {width}), but a network "
                "to shrink makes one tensor (B, 3, sH, sW) of (B, 3, H, W), s being 2 or more, of any size; "
                "change what its forward returns"
            )
    return scale


@torch.no_grad()
def _made(module: nn.Module, lr: Tensor, others: bool) -> object:
    """What a network makes of an image; ConfigError where it fails. `others` says that it takes other sizes."""
    height, width = lr.shape[-2:]
    try:
        with printing_aside():
            return module(lr)
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        remedy = "pad images in its forward, and crop what it makes" if others else "check its forward"
        raise ConfigError(
            f"the network fails on an image of {height}x{width} pixels ({reason}), but must take RGB images "
            f"(B, 3, H, W) of any size; {remedy}"
        ) from error
