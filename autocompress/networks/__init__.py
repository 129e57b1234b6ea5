"""The families that are known, and the one way to read a network from a file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from autocompress.compute import flops
from autocompress.compute.tiling import Tiling
from autocompress.errors import CheckpointError, ConfigError
from autocompress.io import checkpoints
from autocompress.networks.base import Config, Family, SRNetwork, with_weights
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.swinir import SwinIRFamily

FAMILIES: dict[str, Family] = {family.name: family for family in (EDSRFamily(), SwinIRFamily())}


def family_of(network: SRNetwork) -> Family:
    """The family that a network belongs to."""
    return FAMILIES[network.family]


def tiling(network: SRNetwork, tile: int) -> Tiling:
    """How images are taken apart for this network into tiles of `tile` LR pixels a side."""
    family, config = family_of(network), network.config
    return Tiling(tile, family.margin(config), family.size_multiple(config))


def describe(network: SRNetwork) -> dict[str, Any]:
    """What a side file says of a network itself: family, config, scale, fvcore's FLOPs for 1280x720, and parameters."""
    family, config = family_of(network), network.config
    return {
        "family": family.name,
        "config": config.to_dict(),
        "scale": config.scale,
        "flops": flops.count_flops(network, config.scale, math.lcm(48, family.size_multiple(config))),
        "params": flops.count_params(network),
    }


def find_family(name: str) -> Family:
    """The family of this name; an unknown one is a ConfigError that lists the known."""
    if name not in FAMILIES:
        raise ConfigError(f"no family is called {name!r}; known: {', '.join(FAMILIES)}")
    return FAMILIES[name]


def shape(family: str, config: Mapping[str, object]) -> str:
    """A network in a few words: its family and the counts that a search varies, optional ones where unusual."""
    found = find_family(family)
    network = found.config_class.from_dict(config)
    counts, usual = found.counts_of(network), found.counts_of(found.config_class(network.scale))
    shown = [c.field for c in found.counts if not c.optional or counts[c.field] != usual[c.field]]
    return " ".join([family, *(f"{name}={counts[name]}" for name in shown)])


def parse_fields(changes: Iterable[str]) -> dict[str, Any]:
    """Fields of a config from texts such as `num_feat=16` or `depths=[6, 6]`; raises ConfigError."""
    values = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise ConfigError(f"{change!r} sets nothing; write a field and its value, such as num_feat=16")
        try:
            values[name] = _number(yaml.safe_load(text))
        except yaml.YAMLError:
            raise ConfigError(f"{change}: not a number, a word or a list such as [6, 6]") from None
    return values


def _number(value: Any) -> Any:
    """What YAML takes for a word though anyone else reads a number: 1e-3."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def parse_config(family: str, scale: int, changes: Iterable[str]) -> Config:
    """The family's config with this scale and changes such as `embed_dim=48`; raises ConfigError."""
    return find_family(family).config_class.from_dict({"scale": scale, **parse_fields(changes)})


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
    described = _described(side_file) if side_file.is_file() else None
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


def _described(side_file: Path) -> tuple[Family, Config] | None:
    """What our own side file says of a network; None for a JSON file that is something else."""
    try:
        side = json.loads(side_file.read_text(encoding="utf-8"))
        if not (isinstance(side, dict) and {"family", "config"} <= side.keys()):
            return None
        family = find_family(side["family"])
        return family, family.config_class.from_dict(side["config"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{side_file}: not the description of a network ({error})") from error
