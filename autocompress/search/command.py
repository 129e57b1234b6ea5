"""The command line of a search, made again from what its run recorded."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

from autocompress.quantities import format_count, parse_count
from autocompress.search.settings import Settings

SINGULAR = {"spaces": "space", "teachers": "teacher"}
UNSAID = ("storage", "extend")  # an address that may be secret; what says nothing of the search itself


def command(settings: Mapping[str, Any]) -> str:
    """`autocompress search ...` for the `settings` of a config.json; what is as usual is left out."""
    words = ["autocompress", "search"]
    for name, limit in settings["budget"].items():
        words += [] if limit is None else [f"--budget-{name}", _time(limit) if name == "latency" else _count(limit)]
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    usual = {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}
    for name, value in settings.items():
        if name in ("budget", "ray", *UNSAID) or value == usual.get(name):
            continue
        option = "--" + SINGULAR.get(name, name).replace("_", "-")
        if value is True:
            words.append(option)
            continue
        for item in value if isinstance(value, list) else [value]:
            words += [option, str(item)]
    return shlex.join(words + _ray(settings.get("ray")))


def _count(limit: int) -> str:
    """Short where that is exact."""
    short = format_count(limit)
    return short if parse_count(short) == limit else str(limit)


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.6f}".rstrip("0").rstrip(".") + "ms"


def _ray(ray: Mapping[str, Any] | None) -> list[str]:
    if ray is None:
        return []
    words = ["--backend", "ray", "--cpus-per-trial", str(ray["cpus"]), "--gpus-per-trial", str(ray["gpus"])]
    return words + (["--workers", str(ray["workers"])] if ray["workers"] is not None else [])
