"""The search space of a family that has none in the package: what a teacher of it allows to vary."""

from __future__ import annotations

from typing import Any

import yaml

from autocompress.errors import SpaceError
from autocompress.networks.base import Count, Family

# as in the shipped spaces
DISTILLATION = {"teacher_share": {"type": "float", "low": 0.5, "high": 1.0, "step": 0.25}}
DEFAULTS = {"teacher_share": 0.75}


def derived_space(family: Family) -> dict[str, Any]:
    """The content of a space's YAML file: every count of the family, with all its values.

    Raises SpaceError where nothing can vary.
    """
    counts = {count.field: _specification(family, count) for count in family.counts}
    if not counts:
        raise SpaceError(
            f"no argument of {family.name} makes a smaller network of the same kind, so there is nothing to search; "
            "give its builder arguments for widths and numbers of blocks"
        )
    return {"family": family.name, "parameters": counts | DISTILLATION, "defaults": DEFAULTS}


def as_yaml(content: dict[str, Any]) -> str:
    """A space's file, to be edited and given back."""
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120)


def _specification(family: Family, count: Count) -> dict[str, Any]:
    values = family.values_of(count)
    if values is None:
        raise SpaceError(f"networks of the family {family.name} have a shipped space; see `autocompress spaces list`")
    step = values[1] - values[0]
    if list(values) == [values[0] + step * index for index in range(len(values))]:
        return {"type": "int" if count.whole else "float", "low": values[0], "high": values[-1], "step": step}
    return {"type": "categorical", "choices": list(values)}
