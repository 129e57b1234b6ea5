"""Searches on Ray, and the processes that it starts."""

from pathlib import Path
from typing import Any

from small import Silent

from autocompress import search
from autocompress.search import Settings, running
from autocompress.search.backends.processes import Setup


def on_ray(wanted: Settings, setup: Setup, progress: Any = None) -> search.Outcome:
    """A whole search over the stub."""
    from autocompress.search.backends.ray.engine import RayBackend

    assert wanted.ray is not None
    engine = RayBackend(setup, wanted.ray, wanted.folder, wanted.trial_timeout)
    running._engine = lambda *_: engine
    return search.search(wanted, progress or Silent())[1]


def descendants(root: int) -> list[int]:
    """And itself, the youngest last."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found
