"""The tensors of the original implementations."""

import json
from pathlib import Path
from typing import Any

import torch


def golden(shared: Path, name: str) -> dict[str, Any]:
    """Weights in `params`, with an image `x` and what the original makes of it, `y`."""
    content: dict[str, Any] = torch.load(shared / "golden" / f"{name}.pt", weights_only=True)
    return content


def official_shapes(shared: Path, name: str) -> dict[str, list[int]]:
    """Of the tensors under their keys in the original."""
    shapes: dict[str, list[int]] = json.loads((shared / "golden" / "official_keys.json").read_text())[name]
    return shapes
