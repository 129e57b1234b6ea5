"""The families that are known, and the networks of theirs that people know by a name."""

from __future__ import annotations

from autocompress.errors import ConfigError
from autocompress.networks.base import Config, Family, SRNetwork
from autocompress.networks.compact import CompactFamily
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.plainusr import PlainUSRFamily
from autocompress.networks.swinir import SwinIRFamily

FAMILIES: dict[str, Family] = {family.name: family for family in (EDSRFamily(), SwinIRFamily(), CompactFamily())}

# Known where a network is one of these: what varies in them follows from that, so they have no space that ships.
DERIVED: dict[str, Family] = {family.name: family for family in (PlainUSRFamily({}),)}

PRESETS: dict[str, tuple[str, Config]] = {
    name: (family.name, config) for family in FAMILIES.values() for name, config in family.presets.items()
}


def find_family(name: str) -> Family:
    """The family of this name; an unknown one is a ConfigError that lists the known."""
    if name not in FAMILIES and name in DERIVED:
        register(DERIVED[name])
    if name not in FAMILIES:
        raise ConfigError(
            f"no family is called {name!r}; known: {', '.join(FAMILIES)}, and what --code FILE.py:{name} builds"
        )
    return FAMILIES[name]


def register(family: Family) -> None:
    """Know a family from now on; raises ConfigError where a shipped one has its name."""
    known = FAMILIES.get(family.name)
    if known is not None and type(known) is not type(family):
        raise ConfigError(f"a family that ships with the package is called {family.name}; give yours another name")
    FAMILIES[family.name] = family


def family_of(network: SRNetwork) -> Family:
    """The family that a network belongs to."""
    return find_family(network.family)
