"""The families that are known, and the networks of theirs that people know by a name.

A family of a user's code belongs to that code and to its teacher's arguments, so several may have one name. A network
has its own (`family_of`); where only a name and a config are stored, the largest teacher that is known of these is
taken, whichever file was read last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autocompress.errors import ConfigError
from autocompress.networks.base import Config, Family, SRNetwork
from autocompress.networks.compact import CompactFamily
from autocompress.networks.custom import CustomFamily
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.plainusr import PlainUSRFamily
from autocompress.networks.swinir import SwinIRFamily

FAMILIES: dict[str, Family] = {family.name: family for family in (EDSRFamily(), SwinIRFamily(), CompactFamily())}

# Known where a network is one of these: what varies in them follows from that, so they have no space that ships.
DERIVED: dict[str, Family] = {family.name: family for family in (PlainUSRFamily({}),)}

PRESETS: dict[str, tuple[str, Config]] = {
    name: (family.name, config) for family in FAMILIES.values() for name, config in family.presets.items()
}

_EARLIER: dict[str, list[CustomFamily]] = {}  # of the same code as that in FAMILIES, with other arguments


def find_family(name: str, config: Mapping[str, Any] | None = None) -> Family:
    """The family of this name, and of a network with these fields of a config where they are given.

    An unknown name is a ConfigError that lists the known.
    """
    if name not in FAMILIES and name in DERIVED:
        register(DERIVED[name])
    if name not in FAMILIES:
        raise ConfigError(
            f"no family is called {name!r}; known: {', '.join(FAMILIES)}, and what --code FILE.py:{name} builds"
        )
    family = FAMILIES[name]
    arguments = None if config is None else config.get("arguments", {})
    if not isinstance(family, CustomFamily) or not isinstance(arguments, Mapping):
        return family
    return _of_arguments(family, arguments)


def _of_arguments(latest: CustomFamily, arguments: Mapping[str, Any]) -> CustomFamily:
    """Of the families of one code that whose networks have these arguments: the largest one, or else a new one."""
    earlier = _EARLIER.setdefault(latest.name, [])
    fitting = [family for family in (latest, *earlier) if family.covers(arguments)]
    if not fitting:
        fitting = [latest.of_teacher({**latest.arguments, **arguments})]
        earlier += fitting
    found = fitting[0]
    for family in fitting[1:]:
        if family.covers(found.arguments):
            found = family
    return found


def register(family: Family) -> None:
    """Know a family from now on; raises ConfigError where a shipped one has its name."""
    known = FAMILIES.get(family.name)
    if known is not None and type(known) is not type(family):
        raise ConfigError(f"a family that ships with the package is called {family.name}; give yours another name")
    FAMILIES[family.name] = family
    if isinstance(family, CustomFamily):
        before = [known, *_EARLIER.get(family.name, [])] if isinstance(known, CustomFamily) else []
        _EARLIER[family.name] = [
            other for other in before if other.code == family.code and other.arguments != family.arguments
        ]


def family_of(network: SRNetwork) -> Family:
    """The family that a network belongs to: its own, or the one of its name."""
    return network.made_by or find_family(network.family)
