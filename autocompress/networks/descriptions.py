"""Networks and configs in words and plain JSON types."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from autocompress.compute import flops
from autocompress.io.inputs import parse_fields
from autocompress.networks.base import Config, SRNetwork
from autocompress.networks.registry import FAMILIES, find_family
from autocompress.units import format_short


def describe(network: SRNetwork) -> dict[str, Any]:
    """What a side file says of a network itself: family, config, scale, fvcore's FLOPs for 1280x720, and parameters."""
    config = network.config
    return {
        "family": network.family,
        "config": config.to_dict(),
        "scale": config.scale,
        "flops": flops.count_flops(network, config.scale, math.lcm(48, network.size_multiple)),
        "params": flops.count_params(network),
    }


def shape(family: str, config: Mapping[str, object]) -> str:
    """A network in a few words: its family and what a search varies, choices and optional counts where unusual."""
    return " ".join([family, *(f"{name}={value}" for name, value in _shown(family, config).items())])


def file_name(family: str, config: Mapping[str, object], scale: int, flops: int) -> str:
    """What files of a network are called, such as `2x-edsr-f16b15-19G`: scale, family, counts and FLOPs at 1280x720.

    A count has the first letter of its name, or all of it where two begin alike; a choice stands as it is, if unusual.
    """
    shown = _shown(family, config)
    words = [value for value in shown.values() if isinstance(value, str)]
    counts = {name: value for name, value in shown.items() if name != "scale" and isinstance(value, int | float)}
    short = {name: re.sub("^(num_|n_)", "", name)[:1] for name in counts}
    if len(set(short.values())) < len(short):
        short = {name: name for name in counts}
    numbers = "".join(f"{short[name]}{value:g}" for name, value in counts.items())
    parts = [f"{scale}x", family, *words, numbers, format_short(flops)]
    plain = (re.sub(r"[^A-Za-z0-9.]+", "", str(part)) for part in parts)
    return "-".join(part for part in plain if part)


def _shown(family: str, config: Mapping[str, object]) -> dict[str, object]:
    """What `shape` says of a config, by name; of a user's code, which need not be there to be described, arguments."""
    if family not in FAMILIES and "arguments" in config:
        arguments = config["arguments"]
        assert isinstance(arguments, Mapping)
        return dict(arguments)
    known_family = find_family(family)
    network = known_family.config_class.from_dict(config)
    fields, usual = known_family.fields_of(network), known_family.fields_of(known_family.config_class(network.scale))
    always = {count.field for count in known_family.counts if not count.optional}
    return {name: value for name, value in fields.items() if name in always or value != usual[name]}


def in_official_code(family: str, config: Mapping[str, object]) -> bool:
    """Whether the architecture's official code, such as BasicSR for EDSR, has the network with these fields."""
    return official_class(family, config) is not None


def official_class(family: str, config: Mapping[str, object]) -> str | None:
    """The class of official code that is the network with these fields, such as `basicsr.archs.edsr_arch.EDSR`."""
    known_family = find_family(family)
    code = known_family.official_code(known_family.config_class.from_dict(config))
    if code is None:
        return None
    _, module, _, name = code[0].split()[:4]  # of `from MODULE import CLASS`
    return f"{module}.{name}"


def parse_config(family: str, scale: int, changes: Iterable[str]) -> Config:
    """The family's config with this scale and changes such as `embed_dim=48`; raises ConfigError."""
    return find_family(family).config_class.from_dict({"scale": scale, **parse_fields(changes)})
