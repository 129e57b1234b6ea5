"""Whether a search is the one that a run was made by, and if not, what differs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress.errors import RunError
from autocompress.search.run.config import RunConfig, SearchIdentity

if TYPE_CHECKING:
    from autocompress.data.sources import ImageSource

THREADS = "machine.threads"  # the key, in the identity of a search for latency, of the number of threads


def check_same_search(
    path: Path, recorded: RunConfig, search: SearchIdentity, extend: bool, images: Mapping[str, ImageSource]
) -> None:
    """RunError, naming what differs, unless the run at `path` is of this search; see `RunFolder.check`."""
    before, now = _flat(recorded.search.to_dict()), _flat(search.to_dict())
    other = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    only_budget = all(key.startswith("budget.") for key in other)
    if other and not (only_budget and extend):
        remedy = "give another folder with --out"
        if only_budget:
            remedy += ", or go on within the new budget with --extend"
        if other == [THREADS]:
            remedy = f"set OMP_NUM_THREADS={before[THREADS]}, as it was, or {remedy}"
        sets = {"train": recorded.train, "valid": recorded.valid}
        told = {key: sets[key].changes(images[key]) for key in other if key in images}
        listed = (
            f"{key}: {told[key]}"
            if told.get(key)
            else f"{key} was {before.get(key, 'absent')} and is now {now.get(key, 'absent')}"
            for key in other
        )
        raise RunError(f"{path}: holds a search of other settings ({'; '.join(listed)}); {remedy}")


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
