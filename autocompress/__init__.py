"""autocompress: small super-resolution networks from large ones, by search.

`autocompress.load(file)` gives a network from any file that is understood; torch is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autocompress.families import load as load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    if name == "load":
        from autocompress.families import load

        return load
    raise AttributeError(f"module 'autocompress' has no attribute {name!r}")
