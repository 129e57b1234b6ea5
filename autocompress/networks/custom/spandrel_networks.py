"""Networks that spandrel recognises by their tensors: its architectures build them, and load their students, too."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from typing_extensions import override

from autocompress.compute.bounded import bounded, worth
from autocompress.errors import InvalidInput
from autocompress.networks.base import Weights
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.code import Builder

PACKAGE = "spandrel.architectures."


@dataclass(frozen=True)
class SpandrelClass(Builder):
    """The class `qualified` in the module `module` of spandrel; `name` is the architecture's."""

    name: str
    module: str
    qualified: str
    digest = ""
    checks_sizes = False  # spandrel pads images for some of them (DRCT)

    @property
    @override
    def importing(self) -> str:
        return f"from {self.module} import {self.qualified}"

    @override
    def build(self, arguments: Mapping[str, Any]) -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about PyTorch's functions that its code calls
            return super().build(arguments)

    @override
    def callable(self) -> Callable[..., nn.Module]:
        if not self.module.startswith(PACKAGE):
            raise InvalidInput(f"{self.module} is no module of spandrel's architectures; check the file that names it")
        build: Callable[..., nn.Module] = getattr(importlib.import_module(self.module), self.qualified)
        return build


def has_spandrel() -> bool:
    """Whether it is installed, and torchvision, which it needs."""
    return all(importlib.util.find_spec(name) is not None for name in ("spandrel", "torchvision"))


def spandrel_family(tensors: Weights) -> CustomFamily | None:
    """The family of the network that spandrel sees in these tensors; None where it sees none, or is not installed.

    Its networks take and give images in 0 to 1.
    """
    try:
        from spandrel import MAIN_REGISTRY
    except ImportError:  # of spandrel, or of torchvision, which it needs
        return None
    try:
        with bounded(worth(tensors)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about PyTorch's functions that its code calls
            found = MAIN_REGISTRY.load(dict(tensors))
    except Exception:  # UnsupportedModelError, or what an architecture raises that only seemed to be the one
        return None
    arguments = getattr(found.model, "hyperparameters", None)
    if arguments is None:
        return None
    made = type(found.model)
    return CustomFamily(SpandrelClass(found.architecture.id, made.__module__, made.__qualname__), arguments)
