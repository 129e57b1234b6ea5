"""A search in words and numbers: what makes it the same search, what is recorded of it, what a user is told."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path
from typing import Any

import optuna
import torch

import autocompress
from autocompress.arithmetic import Arithmetic
from autocompress.quantities import format_count
from autocompress.search.inputs import Inputs, Task
from autocompress.search.run_folder import RunFolder


def identity(task: Task) -> dict[str, Any]:
    """What must be the same for a search to go on in the same folder. More trials or time are the same search."""
    settings = task.settings
    return {
        "space": task.space.to_dict(),
        "teacher": task.teacher_digest,
        "train": task.train.digest,
        "valid": task.valid.digest,
        "budget": dataclasses.asdict(settings.budget),
        "recipe": task.recipe.to_dict(),
        "init": settings.init,
        "seed": settings.seed,
    }


def describe(inputs: Inputs, search: dict[str, Any]) -> dict[str, Any]:
    """What config.json records."""
    task, teacher = inputs.task, inputs.teacher
    return {
        "search": search,
        "settings": {key: _plain(value) for key, value in dataclasses.asdict(task.settings).items()},
        "space": task.space.name,
        "scale": teacher.scale,
        "teacher": {"name": task.teacher_name, "family": teacher.family, "config": teacher.config.to_dict()},
        "train": {"name": task.train.name, "images": len(inputs.bank)},
        "valid": {"name": task.valid.name, "images": len(inputs.valid)},
        "skipped_images": inputs.skipped,
        "references": inputs.references,
        "arithmetic": inputs.arithmetic.to_dict(),
        "versions": {
            "autocompress": autocompress.__version__,
            "torch": torch.__version__,
            "optuna": optuna.__version__,
            "python": platform.python_version(),
        },
    }


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def recorded_arithmetic(run: RunFolder) -> Arithmetic | None:
    """What an earlier session of this run computed in, where this machine can do the same; else None."""
    if not run.exists():
        return None
    arithmetic = Arithmetic(**run.config["arithmetic"])
    if arithmetic.threads > torch.get_num_threads() or (arithmetic.device == "cuda" and not torch.cuda.is_available()):
        return None
    return arithmetic


def facts(inputs: Inputs) -> list[str]:
    """Lines for the user about what the search works with."""
    task = inputs.task
    bicubic, teacher = inputs.references["bicubic"], inputs.references["teacher"]
    lines = [
        f"teacher     {task.teacher_name}: x{inputs.teacher.scale}, {format_count(teacher['flops'])} FLOPs, "
        f"{teacher['psnr_y']:.2f} dB (bicubic {bicubic['psnr_y']:.2f} dB)",
        f"images      {len(inputs.bank)} of {task.train.name} to train on, "
        f"{len(inputs.valid)} of {task.valid.name} to choose by",
        f"space       {task.space.name}: {format_count(task.space.size)} configs; budget {task.settings.budget}",
        f"arithmetic  {inputs.arithmetic}",
    ]
    for name, reason in inputs.skipped.items():
        lines.append(f"skipped     {name}: {reason}")
    return lines
