"""Everything the command line does, from Python, such as a notebook; the command line stands on it.

    from autocompress.api import search

    result = search(budget_flops="20G")
    student = result.best(max_flops="10G").load()

Keywords are the command line's options, and quantities are numbers or texts as there: 20e9 or "20G", 600 or "10m".
Errors are those of `autocompress.errors`; their messages call a keyword as the command line does (`--budget-flops`).
One file has what belongs to one verb, and is imported when that is asked for. May import every other room but `cli`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autocompress.api._result import Result as Result
    from autocompress.api._result import Student as Student
    from autocompress.api._result import open_run as open_run
    from autocompress.api._search import join as join
    from autocompress.api._search import search as search
    from autocompress.networks import load as load

_MODULES = {
    "Result": "api._result",
    "Student": "api._result",
    "join": "api._search",
    "load": "networks",
    "open_run": "api._result",
    "search": "api._search",
}
__all__ = ["Result", "Student", "join", "load", "open_run", "search"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'autocompress.api' has no attribute {name!r}")
    return getattr(importlib.import_module(f"autocompress.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
