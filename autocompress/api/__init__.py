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
    from autocompress.api._compare import compare as compare
    from autocompress.api._distill import Distilled as Distilled
    from autocompress.api._distill import distill as distill
    from autocompress.api._evaluate import Evaluation as Evaluation
    from autocompress.api._evaluate import NetworkCost as NetworkCost
    from autocompress.api._evaluate import evaluate as evaluate
    from autocompress.api._evaluate import measure_latency as measure_latency
    from autocompress.api._export import export as export
    from autocompress.api._lists import cache_entries as cache_entries
    from autocompress.api._lists import clear_cache as clear_cache
    from autocompress.api._lists import space as space
    from autocompress.api._lists import space_text as space_text
    from autocompress.api._lists import spaces as spaces
    from autocompress.api._models import describe_model as describe_model
    from autocompress.api._models import models as models
    from autocompress.api._prune import PrunedTeacher as PrunedTeacher
    from autocompress.api._prune import prune as prune
    from autocompress.api._refine import refine as refine
    from autocompress.api._result import Result as Result
    from autocompress.api._result import Student as Student
    from autocompress.api._result import open_run as open_run
    from autocompress.api._search import join as join
    from autocompress.api._search import search as search
    from autocompress.api._teachers import TrainedTeacher as TrainedTeacher
    from autocompress.api._teachers import describe_teacher as describe_teacher
    from autocompress.api._teachers import teachers as teachers
    from autocompress.api._teachers import train_teacher as train_teacher
    from autocompress.api._upscale import Upscaled as Upscaled
    from autocompress.api._upscale import upscale as upscale
    from autocompress.networks import load as load

_MODULES = {
    "compare": "api._compare",
    "Distilled": "api._distill",
    "distill": "api._distill",
    "Evaluation": "api._evaluate",
    "NetworkCost": "api._evaluate",
    "evaluate": "api._evaluate",
    "measure_latency": "api._evaluate",
    "export": "api._export",
    "cache_entries": "api._lists",
    "clear_cache": "api._lists",
    "space": "api._lists",
    "space_text": "api._lists",
    "spaces": "api._lists",
    "describe_model": "api._models",
    "models": "api._models",
    "PrunedTeacher": "api._prune",
    "prune": "api._prune",
    "refine": "api._refine",
    "Result": "api._result",
    "Student": "api._result",
    "open_run": "api._result",
    "join": "api._search",
    "search": "api._search",
    "TrainedTeacher": "api._teachers",
    "describe_teacher": "api._teachers",
    "teachers": "api._teachers",
    "train_teacher": "api._teachers",
    "Upscaled": "api._upscale",
    "upscale": "api._upscale",
    "load": "networks",
}
__all__ = [
    "Distilled",
    "Evaluation",
    "NetworkCost",
    "PrunedTeacher",
    "Result",
    "Student",
    "TrainedTeacher",
    "Upscaled",
    "cache_entries",
    "clear_cache",
    "compare",
    "describe_model",
    "describe_teacher",
    "distill",
    "evaluate",
    "export",
    "join",
    "load",
    "measure_latency",
    "models",
    "open_run",
    "prune",
    "refine",
    "search",
    "space",
    "space_text",
    "spaces",
    "teachers",
    "train_teacher",
    "upscale",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'autocompress.api' has no attribute {name!r}")
    return getattr(importlib.import_module(f"autocompress.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
