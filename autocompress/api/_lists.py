"""What there is: `spaces` that ship with the package, `cache_entries` that are kept between runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress.api._named import check_named
from autocompress.errors import InvalidInput
from autocompress.io.arguments import typed_arguments

if TYPE_CHECKING:
    from autocompress.io.cache import CacheEntry
    from autocompress.search.space.search_space import SearchSpace


def spaces() -> list[SearchSpace]:
    """The search spaces that ship with the package."""
    from autocompress.search.space.declared import shipped_spaces
    from autocompress.search.space.search_space import load_space

    return [load_space(name) for name in shipped_spaces()]


@typed_arguments
def space(name: str | Path) -> SearchSpace:
    """A shipped space, or one from a YAML file; SpaceError says which key breaks which rule."""
    from autocompress.search.space.declared import declared_space

    declared_space(str(name))  # before PyTorch is imported

    from autocompress.search.space.search_space import load_space

    return load_space(str(name))


@typed_arguments
def space_text(name: str | Path | None = None, teacher: str | Path | None = None, **overrides: Any) -> str:
    """The YAML of a space: by its name or file, or what can vary in a teacher of your own code (see `load`).

    Raises InvalidInput where neither or both are given, or the teacher is of a family with a shipped space.
    """
    if (name is None) == (teacher is None):
        raise InvalidInput("give a space's name or file, or --teacher FILE with --code FILE.py:CALLABLE")
    if name is not None:
        from autocompress.search.space.declared import read_space

        return read_space(str(name))[1]
    check_named(networks=[teacher], codes=[overrides.get("code")])

    from autocompress.networks import family_of
    from autocompress.networks.teachers import load_teacher
    from autocompress.search.space.derived import as_yaml, derived_space

    return as_yaml(derived_space(family_of(load_teacher(str(teacher), **overrides))))


def cache_entries() -> list[CacheEntry]:
    """Decoded images and teachers' outputs that are kept between runs, the least recently used first."""
    from autocompress.io import cache

    return cache.entries()


def clear_cache() -> list[CacheEntry]:
    """Remove every entry that no running search uses; returns those that one uses."""
    from autocompress.io import cache

    return cache.clear()
