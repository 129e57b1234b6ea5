"""What spandrel imports of torchvision, which is not needed for the networks that are tried."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from types import ModuleType


def stand_in_for_torchvision() -> None:
    """Let spandrel be imported where torchvision is not installed; it takes two names of it, for other networks."""
    if importlib.util.find_spec("torchvision") is None:
        for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
            module = ModuleType(name)
            module.__spec__ = importlib.machinery.ModuleSpec(name, None)
            sys.modules[name] = module
        module.InterpolationMode = module.rotate = module.normalize = None  # type: ignore[attr-defined]
