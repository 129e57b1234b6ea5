"""Search over students: `search(settings, callback)` runs one, or goes on with one, in a run folder; `join` helps one.

`running` has the steps of a session in their order, `tuner` its loop. Its rooms are `backends` (where trials run),
`trial` (the work on one), `sampling` (which is next), `run` (what is stored), `results` (what a run has come to),
`space` (what may be tried). Imports go downward only, as pyproject.toml lists them. `search` may import `prune`,
`distill` and all rooms below these, and no other room imports Ray.

What is public is imported when it is asked for, so that `autocompress.search.settings`, from which the command line
is made, is there at once, without torch and Optuna.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autocompress.search.callbacks import SearchCallback as SearchCallback
    from autocompress.search.run.folder import RunFolder as RunFolder
    from autocompress.search.running import join as join
    from autocompress.search.running import refine as refine
    from autocompress.search.running import search as search
    from autocompress.search.settings import OnRay as OnRay
    from autocompress.search.settings import Settings as Settings
    from autocompress.search.tuner import Outcome as Outcome

_MODULES = {
    "OnRay": "settings",
    "Outcome": "tuner",
    "RunFolder": "run.folder",
    "SearchCallback": "callbacks",
    "Settings": "settings",
    "join": "running",
    "refine": "running",
    "search": "running",
}
__all__ = ["OnRay", "Outcome", "RunFolder", "SearchCallback", "Settings", "join", "refine", "search"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'autocompress.search' has no attribute {name!r}")
    return getattr(importlib.import_module(f"autocompress.search.{_MODULES[name]}"), name)
