"""What options have in common: that of being quiet, panels in the help, and the words that a shell completes.

Nothing here imports torch: a shell asks at each press of a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from autocompress.io import package_files

OUTPUT = "Output"
BUDGET, NETWORKS, DATA, SEARCH, RUNNING = "Budget", "Space and teacher", "Data", "Search", "Running"

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.", rich_help_panel=OUTPUT)]


def _among(words: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [word for word in words() if word.startswith(incomplete)]

    return complete


complete_space = _among(package_files.spaces)
complete_teacher = _among(package_files.teachers)
complete_sampler = _among(lambda: ("cost-aware", "tpe", "nsga2", "gp", "random"))
complete_init = _among(lambda: ("projection", "density", "copy", "taylor", "scratch"))
complete_objective = _among(lambda: ("flops", "latency"))
complete_backend = _among(lambda: ("local", "ray"))
complete_format = _among(lambda: ("safetensors", "pth", "onnx"))
complete_recipe = _among(lambda: ("ours", "paper"))
