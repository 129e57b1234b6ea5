"""What a network is to the package: its family and config, its weights, and how it is read and run on images.

Each family has a folder, which holds all that is particular to it; `registry` is the list of them, and the one module
that names them. This room may import shrink, data, compute and io. Inside it, from the top: teachers, loading,
descriptions, models, registry, the families, then what they share (graph_family, weights, base,
upscaling).
"""

from __future__ import annotations

from autocompress.networks.descriptions import describe, file_name, in_official_code, parse_config, parse_fields, shape
from autocompress.networks.loading import know_code, load
from autocompress.networks.registry import FAMILIES, PRESETS, family_of, find_family

__all__ = [
    "FAMILIES",
    "PRESETS",
    "describe",
    "family_of",
    "file_name",
    "find_family",
    "in_official_code",
    "know_code",
    "load",
    "parse_config",
    "parse_fields",
    "shape",
]
