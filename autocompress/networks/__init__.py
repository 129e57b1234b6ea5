"""What a network is to the package: its family and config, its weights, and how it is read and run on images.

Each family has a folder, which holds all that is particular to it; `registry` is the list of them, and the one module
that names them. This room may import shrink, data, compute and io. Inside it, from the top: teachers, loading,
descriptions, models, registry, the families, then what they share (known_family, engine_family, suggestions, effects,
reading, weights, tails, layers, base, upscaling).

What is public is imported when it is asked for, so that what is known of shipped networks can be read without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autocompress.networks.descriptions import describe as describe
    from autocompress.networks.descriptions import file_name as file_name
    from autocompress.networks.descriptions import in_official_code as in_official_code
    from autocompress.networks.descriptions import in_words as in_words
    from autocompress.networks.descriptions import official_class as official_class
    from autocompress.networks.descriptions import parse_config as parse_config
    from autocompress.networks.descriptions import shape as shape
    from autocompress.networks.loading import know_code as know_code
    from autocompress.networks.loading import load as load
    from autocompress.networks.registry import FAMILIES as FAMILIES
    from autocompress.networks.registry import PRESETS as PRESETS
    from autocompress.networks.registry import family_of as family_of
    from autocompress.networks.registry import find_family as find_family

_MODULES = {
    "describe": "descriptions",
    "file_name": "descriptions",
    "in_official_code": "descriptions",
    "in_words": "descriptions",
    "official_class": "descriptions",
    "parse_config": "descriptions",
    "shape": "descriptions",
    "know_code": "loading",
    "load": "loading",
    "FAMILIES": "registry",
    "PRESETS": "registry",
    "family_of": "registry",
    "find_family": "registry",
}
__all__ = [
    "FAMILIES",
    "PRESETS",
    "describe",
    "family_of",
    "file_name",
    "find_family",
    "in_official_code",
    "in_words",
    "know_code",
    "load",
    "official_class",
    "parse_config",
    "shape",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'autocompress.networks' has no attribute {name!r}")
    return getattr(importlib.import_module(f"autocompress.networks.{_MODULES[name]}"), name)
