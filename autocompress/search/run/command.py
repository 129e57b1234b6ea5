"""The command line of a search, made again from what its run recorded."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

from autocompress.search.settings import Settings
from autocompress.units import format_count, parse_count

SINGULAR = {"spaces": "space", "teachers": "teacher"}
UNSAID = ("storage", "extend")  # an address that may be secret; what says nothing of the search itself
DURATIONS = ("timeout", "trial_timeout")
UNITS = {"h": 3600, "m": 60}


def command(settings: Mapping[str, Any]) -> str:
    """`autocompress search ...` for the `settings` of a config.json; what is as usual is left out."""
    words = ["autocompress", "search"]
    for name, limit in settings["budget"].items():
        said = _count if name != "latency" else _milliseconds
        words += [] if limit is None else [f"--budget-{name}", said(limit)]
    ray = settings.get("ray")
    elsewhere = ("budget", "ray", *UNSAID, *(() if ray is None else ("workers",)))
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    usual = {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}
    for name, value in settings.items():
        if name in elsewhere or value == usual.get(name):
            continue
        option = "--" + SINGULAR.get(name, name).replace("_", "-")
        if value is True:
            words.append(option)
            continue
        for item in value if isinstance(value, list) else [value]:
            words += [option, _duration(item) if name in DURATIONS else str(item)]
    return shlex.join(words + ([] if ray is None else _ray(ray)))


def _count(limit: int) -> str:
    """Short where that is exact."""
    short = format_count(limit)
    return short if parse_count(short) == limit else str(limit)


def _milliseconds(limit: float) -> str:
    return f"{_plain(limit)}ms"


def _duration(seconds: float) -> str:
    """In the largest unit of which they are a whole number."""
    for unit, size in UNITS.items():
        if seconds % size == 0:
            return f"{seconds // size:.0f}{unit}"
    return f"{_plain(seconds)}s"


def _plain(number: float) -> str:
    """Without an exponent, which no duration has."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _ray(ray: Mapping[str, Any]) -> list[str]:
    options = {"cpus-per-trial": ray["cpus"], "gpus-per-trial": ray["gpus"]}
    options |= {name: ray[name] for name in ("address", "workers") if ray[name] is not None}
    return ["--backend", "ray", *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
