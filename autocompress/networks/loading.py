"""The one way to read a network from a file."""

from __future__ import annotations

from pathlib import Path

from autocompress.errors import CheckpointError
from autocompress.io import checkpoints
from autocompress.networks.base import SRNetwork
from autocompress.networks.descriptions import read_description
from autocompress.networks.registry import FAMILIES
from autocompress.networks.weights import with_weights


def load(file: str | Path, res_scale: float | None = None) -> SRNetwork:
    """The network in a file, in eval mode: our students, and official files of any known family.

    Its input is (B, 3, H, W) RGB in [0, 1], any size; its output (B, 3, scale*H, scale*W).
    `res_scale` is EDSR's residual scaling, which no file of weights holds: None means what our own JSON side file says,
    or 1, or 0.1 for the 256x32 network.
    Raises CheckpointError, saying what was found, for what cannot be read.
    """
    path = Path(file)
    tensors = checkpoints.read_tensors(path)
    side_file = path.with_suffix(".json")
    described = read_description(side_file) if side_file.is_file() else None
    if described is not None:
        family, config = described
        if res_scale not in (None, getattr(config, "res_scale", None)):
            raise CheckpointError(f"res_scale {res_scale} was given, but {side_file} describes {path.name} as {config}")
        try:
            return with_weights(family, config, tensors)
        except RuntimeError as error:
            raise CheckpointError(f"{path}: its tensors are not the network that {side_file} describes") from error
    for family in FAMILIES.values():
        try:
            found = family.read(tensors, res_scale)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None
        if found is not None:
            return with_weights(family, *found)
    keys = ", ".join(list(tensors)[:4])
    raise CheckpointError(
        f"{path}: {len(tensors)} tensors ({keys}, ...) that belong to none of the families {', '.join(FAMILIES)}"
    )
