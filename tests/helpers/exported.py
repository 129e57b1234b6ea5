"""Exported programs, as a user writes them."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn


def write_pt2(network: nn.Module, file: Path, free: bool = True, side: int = 40) -> None:
    """By torch.export, for images of any size or of one alone."""
    sizes: Any = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = torch.zeros(2, 3, side, side + 8)
        program = torch.export.export(network.eval(), (image,), dynamic_shapes=(sizes,) if free else None)
        torch.export.save(program, file)


def changed(source: Path, into: Path, part: str, change: Callable[[Any], None]) -> None:
    """A copy of an archive with a changed JSON part."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(into, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(part):
                value = json.loads(content)
                change(value)
                content = json.dumps(value).encode()
            new.writestr(name, content)
