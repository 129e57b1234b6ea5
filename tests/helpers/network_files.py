"""Files of networks (of the original implementations, and a hostile one), and what fvcore counts of a network."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch

import autocompress


def golden(shared: Path, name: str) -> dict[str, Any]:
    """Weights in `params`, with an image `x` and what the original makes of it, `y`."""
    content: dict[str, Any] = torch.load(shared / "golden" / f"{name}.pt", weights_only=True)
    return content


def official_shapes(shared: Path, name: str) -> dict[str, list[int]]:
    """Of the tensors under their keys in the original."""
    shapes: dict[str, list[int]] = json.loads((shared / "golden" / "official_keys.json").read_text())[name]
    return shapes


class CodeRunningPickle:
    """A pickle that creates the file `target` when it is read with arbitrary code allowed."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def fvcore_total(network: torch.nn.Module, lr: torch.Tensor) -> float:
    """fvcore's FLOPs for this input."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fvcore uses torch.jit
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(network, lr)
        return float(analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def fvcore_flops(file: Path) -> int:
    """fvcore's FLOPs of a stored network for an output of 1280x720, as anyone would load it."""
    network = autocompress.load(file)
    return round(fvcore_total(network, torch.zeros(1, 3, 20, 30)) / 600 * 1280 * 720 / network.scale**2)
