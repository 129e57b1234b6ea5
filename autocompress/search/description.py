"""A search in words and numbers: what makes it the same search, what is recorded of it, what a user is told."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path
from typing import Any

import optuna
import torch

import autocompress
from autocompress.compute.precision import Precision
from autocompress.evaluation.latency import Machine
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.storage import StudyStorage
from autocompress.search.space.budget import Objective
from autocompress.search.space.cost import LATENCY_MS, Costs
from autocompress.search.space.joint_space import StudentSpace
from autocompress.search.task import Task
from autocompress.search.trial.context import TrialContext
from autocompress.units import format_count


def identity(task: Task) -> dict[str, Any]:
    """What must be the same for a search to go on in the same folder. More trials or time are the same search.

    What is measured is of one machine; threads make no difference to a GPU.
    """
    settings = task.settings
    machine = dataclasses.asdict(Machine.here())
    if machine["device"] == "cuda":
        del machine["threads"]
    measured = {"objective": "latency", "machine": machine}
    return (measured if settings.objective is Objective.LATENCY else {}) | {
        "spaces": {
            branch.name: branch.space.to_dict() | {"teacher": branch.teacher_digest, "target": branch.target_digest}
            for branch in task.joint_space
        },
        "train": task.train.digest,
        "valid": task.valid.digest,
        "budget": dataclasses.asdict(settings.budget),
        "recipe": task.recipe.to_dict(),
        "init": settings.init,
        "prune": settings.prune,
        "sampler": settings.sampler,
        "seed": settings.seed,
    }


def describe(inputs: TrialContext, search: dict[str, Any], place: StudyStorage, costs: Costs) -> dict[str, Any]:
    """What config.json records."""
    task, best = inputs.task, inputs.best_branch
    return {
        "search": search,
        "settings": task.settings.to_dict() | {"storage": place.record()["url"]},
        "started_in": str(Path.cwd()),  # what paths in the settings are relative to
        "storage": place.record(),
        "scale": task.scale,
        "teacher": _teacher(best),
        "branches": {
            branch.name: {
                "teacher": _teacher(branch) | inputs.teachers[branch.name] | _latency(branch, costs),
                "target": branch.target_name,
            }
            for branch in task.joint_space
        },
        "train": {"name": task.train.name, "images": len(inputs.bank)},
        "valid": {"name": task.valid.name, "images": len(inputs.valid)},
        "skipped_images": inputs.skipped,
        "references": inputs.references | {"teacher": inputs.references["teacher"] | _latency(best, costs)},
        "arithmetic": inputs.precision.to_dict(),
        "versions": {
            "autocompress": autocompress.__version__,
            "torch": torch.__version__,
            "optuna": optuna.__version__,
            "python": platform.python_version(),
        },
    }


def _teacher(branch: StudentSpace) -> dict[str, Any]:
    return {"name": branch.teacher_name, "family": branch.family.name, "config": branch.teacher.config.to_dict()}


def _latency(branch: StudentSpace, costs: Costs) -> dict[str, float]:
    """The teacher's, where that is what counts."""
    latency = costs.latency(branch.family, branch.teacher.config)
    return {} if latency is None else {LATENCY_MS: latency}


def recorded_precision(run: RunFolder) -> Precision | None:
    """What an earlier session of this run computed in, where this machine can do the same; else None."""
    if not run.exists():
        return None
    precision = Precision(**run.config["arithmetic"])
    if precision.threads > torch.get_num_threads() or (precision.device == "cuda" and not torch.cuda.is_available()):
        return None
    return precision


def facts(inputs: TrialContext) -> list[str]:
    """Lines for the user about what the search works with."""
    task = inputs.task
    lines = []
    for branch in task.joint_space:
        teacher = inputs.teachers[branch.name]
        taught = "" if branch.target is branch.teacher else f", students learn from {branch.target_name}"
        lines += [
            f"space       {branch.name}: {format_count(branch.space.size)} configs; budget {task.settings.budget}",
            f"teacher     {branch.teacher_name}: x{task.scale}, {format_count(teacher['flops'])} FLOPs, "
            f"{teacher['psnr_y']:.2f} dB (bicubic {inputs.references['bicubic']['psnr_y']:.2f} dB){taught}",
        ]
    lines += [
        f"images      {len(inputs.bank)} of {task.train.name} to train on, "
        f"{len(inputs.valid)} of {task.valid.name} to choose by",
        f"arithmetic  {inputs.precision}",
    ]
    for name, reason in inputs.skipped.items():
        lines.append(f"skipped     {name}: {reason}")
    return lines
