"""Networks and configs in words and plain JSON types."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from autocompress.compute import flops
from autocompress.io.inputs import parse_fields
from autocompress.networks.base import Config, Family, SRNetwork
from autocompress.networks.registry import FAMILIES, family_of, find_family
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


def in_words(network: SRNetwork) -> str:
    """A network in a few words: its family and what a search varies, choices and optional counts where unusual."""
    return _words(network.family, _varied(family_of(network), network.config))


def shape(family: str, config: Mapping[str, Any]) -> str:
    """`in_words` of a network that is stored as these."""
    return _words(family, _shown(family, config))


def _words(family: str, fields: Mapping[str, object]) -> str:
    return " ".join([family, *(f"{name}={value}" for name, value in fields.items())])


def file_name(
    family: str, config: Mapping[str, Any], scale: int, flops: int, teacher: Mapping[str, Any] | None = None
) -> str:
    """What files of a network are called, such as `2x-edsr-f16b15-19G`: scale, family, counts and FLOPs at 1280x720.

    `teacher` is the config of its teacher in the same family, where that is known: it says what may vary. A count has
    the first letter of its name, or all of it where two begin alike; a choice stands as it is, if unusual.
    """
    shown = _shown(family, config, teacher)
    words = [value for value in shown.values() if isinstance(value, str)]
    counts = {name: value for name, value in shown.items() if name != "scale" and isinstance(value, int | float)}
    short = {name: re.sub("^(num_|n_)", "", name)[:1] for name in counts}
    if len(set(short.values())) < len(short):
        short = {name: name for name in counts}
    numbers = "".join(f"{short[name]}{value:g}" for name, value in counts.items())
    parts = [f"{scale}x", family, *words, numbers, format_short(flops)]
    plain = (re.sub(r"[^A-Za-z0-9.]+", "", str(part)) for part in parts)
    return "-".join(part for part in plain if part)


def _shown(family: str, config: Mapping[str, Any], teacher: Mapping[str, Any] | None = None) -> dict[str, object]:
    """What `shape` says of a config, by name; of a user's code, which need not be there to be described, arguments."""
    if family not in FAMILIES and "arguments" in config:
        return dict(config["arguments"])
    known_family = find_family(family, teacher or config)
    return _varied(known_family, known_family.config_class.from_dict(config))


def _varied(family: Family, config: Config) -> dict[str, object]:
    """What `in_words` says of a config, by name."""
    fields, usual = family.fields_of(config), family.fields_of(family.config_class(config.scale))
    always = {count.field for count in family.counts if not count.optional}
    return {name: value for name, value in fields.items() if name in always or value != usual[name]}


def in_official_code(family: str, config: Mapping[str, Any]) -> bool:
    """Whether the architecture's official code, such as BasicSR for EDSR, has the network with these fields."""
    return official_class(family, config) is not None


def official_class(family: str, config: Mapping[str, Any]) -> str | None:
    """The class of official code that is the network with these fields, such as `basicsr.archs.edsr_arch.EDSR`."""
    known_family = find_family(family, config)
    code = known_family.official_code(known_family.config_class.from_dict(config))
    if code is None:
        return None
    _, module, _, name = code[0].split()[:4]  # of `from MODULE import CLASS`
    return f"{module}.{name}"


def parse_config(family: str, scale: int, changes: Iterable[str]) -> Config:
    """The family's config with this scale and changes such as `embed_dim=48`; raises ConfigError."""
    return find_family(family).config_class.from_dict({"scale": scale, **parse_fields(changes)})
