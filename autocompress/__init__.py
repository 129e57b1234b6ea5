"""autocompress: small super-resolution networks from large ones, by search.

`autocompress.load(file)` gives a network from any file that is understood, `autocompress.open_run(folder)` the result
of a search, and `autocompress.api.search(...)` runs one. torch is imported on first use.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autocompress import api as api
    from autocompress.api import open_run as open_run
    from autocompress.networks import load as load

__version__ = "0.1.0"
__all__ = ["__version__", "api", "load", "open_run"]

# tqdm, which libraries import, warns in notebooks without ipywidgets; our progress needs none
warnings.filterwarnings("ignore", message="IProgress not found")


def __getattr__(name: str) -> Any:
    if name == "api":
        return importlib.import_module("autocompress.api")
    if name in ("load", "open_run"):
        return getattr(importlib.import_module("autocompress.api"), name)
    raise AttributeError(f"module 'autocompress' has no attribute {name!r}")
