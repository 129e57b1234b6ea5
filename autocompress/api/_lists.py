"""What there is: `spaces` that ship with the package, `cache_entries` that are kept between runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autocompress.io.cache import CacheEntry
    from autocompress.search.space.search_space import SearchSpace


def spaces() -> list[SearchSpace]:
    """The search spaces that ship with the package."""
    from autocompress.search.space.search_space import load_space, shipped_spaces

    return [load_space(name) for name in shipped_spaces()]


def space(name: str | Path) -> SearchSpace:
    """A shipped space, or one from a YAML file; SpaceError says which key breaks which rule."""
    from autocompress.search.space.search_space import load_space

    return load_space(str(name))


def cache_entries() -> list[CacheEntry]:
    """Decoded images and teachers' outputs that are kept between runs, the least recently used first."""
    from autocompress.io import cache

    return cache.entries()


def clear_cache() -> list[CacheEntry]:
    """Remove every entry that no running search uses; returns those that one uses."""
    from autocompress.io import cache

    return cache.clear()
