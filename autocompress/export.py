"""Students as files that other code loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autocompress import checkpoints
from autocompress.errors import InvalidInput
from autocompress.families import describe, family_of, load
from autocompress.families.base import SRNetwork

FORMATS = ("safetensors", "pth")


def export_network(network: SRNetwork, name: str, out: Path, format: str, about: dict[str, Any]) -> Path:
    """Write one network under official key names, every setting folded into its tensors; returns the file.

    `pth` is one dict under `params`, which loads with strict=True in the official code, where that has such a
    network. `about` goes into the JSON side file beside it.
    """
    if format not in FORMATS:
        raise InvalidInput(f"format is {format!r}, but must be one of {', '.join(FORMATS)}")
    family = family_of(network)
    plain = family.for_export(network)
    path = out / f"{name}.{format}"
    try:
        if format == "pth":
            checkpoints.save_pth(path, family.official_tensors(plain))
        else:
            checkpoints.save_tensors(path, family.official_tensors(plain))
        checkpoints.write_json(path.with_suffix(".json"), about | describe(plain))
    except OSError as error:
        raise InvalidInput(f"{out}: cannot be written to ({error.strerror}); give another folder") from error
    return path


def export_file(file: Path, name: str, out: Path, format: str, res_scale: float | None = None) -> Path:
    """Export the network in a file (see `load`), with what its side file says of it."""
    network = load(file, res_scale)
    side_file = file.with_suffix(".json")
    about = json.loads(side_file.read_text(encoding="utf-8")) if side_file.is_file() else {}
    return export_network(network, name, out, format, about)
