"""What config.json records of a search, what identifies it, and the facts about it that a user is told."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path

import optuna
import torch

import autocompress
from autocompress.compute.precision import Precision
from autocompress.evaluation import latency
from autocompress.evaluation.records import TO_TEACHER
from autocompress.networks import in_words
from autocompress.search.run.config import (
    ImageSet,
    Reference,
    References,
    RunConfig,
    SearchIdentity,
    TaughtSpace,
    Teacher,
    TeacherReference,
)
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.storage import StudyStorage
from autocompress.search.settings import Score
from autocompress.search.space.budget import Objective
from autocompress.search.space.cost import Costs
from autocompress.search.space.joint_space import StudentSpace
from autocompress.search.task import Task
from autocompress.search.trial.context import TrialContext
from autocompress.units import decibels, format_count, images_in_words, quantity


def identity(task: Task) -> SearchIdentity:
    """What must be the same for a search to go on in the same folder; trials and timeout may differ.

    A search for latency belongs to one machine and, on a CPU, to one number of threads.
    """
    settings = task.settings
    machine = dataclasses.asdict(latency.this_machine())
    if machine["device"] == "cuda":
        del machine["threads"]
    return SearchIdentity(
        spaces={
            space.name: space.space.to_dict() | {"teacher": space.teacher_digest, "target": space.target_digest}
            for space in task.joint_space
        },
        train=task.train.digest,
        valid=task.valid.digest,
        budget=settings.budget,
        recipe=task.recipe.to_dict(),
        init=settings.init,
        prune=settings.prune,
        sampler=settings.sampler,
        seed=settings.seed,
        objective=str(settings.objective),
        score=str(settings.score),
        machine=machine if settings.objective is Objective.LATENCY else None,
    )


def describe(context: TrialContext, search: SearchIdentity, storage: StudyStorage, costs: Costs) -> RunConfig:
    """The content of config.json."""
    task, best = context.task, context.best_student_space
    return RunConfig(
        search=search,
        settings=task.settings.to_dict() | {"storage": storage.record()["url"]},
        started_in=str(Path.cwd()),
        storage=storage.record(),
        scale=task.scale,
        teacher=_teacher(best),
        taught_spaces={
            space.name: TaughtSpace(_teacher(space), _reference(context, space, costs), space.target_name)
            for space in task.joint_space
        },
        train=ImageSet.of(task.train, len(context.bank)),
        valid=ImageSet.of(task.valid, len(context.valid)),
        skipped_images=context.skipped,
        references=References(Reference(context.references["bicubic"]), _reference(context, best, costs)),
        precision=context.precision,
        versions={
            "autocompress": autocompress.__version__,
            "torch": torch.__version__,
            "optuna": optuna.__version__,
            "python": platform.python_version(),
        },
        machine=str(latency.this_machine()),
    )


def _teacher(space: StudentSpace) -> Teacher:
    teacher = space.teacher
    return Teacher(space.teacher_name, teacher.family, teacher.config.to_dict(), in_words(teacher))


def _reference(context: TrialContext, space: StudentSpace, costs: Costs) -> TeacherReference:
    """A teacher's scores and costs, with its latency if that is the objective."""
    reference = TeacherReference.from_dict(context.teachers[space.name])
    return dataclasses.replace(reference, latency_ms=costs.latency(space.teacher_family, space.teacher.config))


def recorded_precision(run: RunFolder) -> Precision | None:
    """The precision of an earlier session of this run, if this machine can do the same; else None."""
    if not run.exists():
        return None
    precision = run.config.precision
    if precision.threads > torch.get_num_threads() or (precision.device == "cuda" and not torch.cuda.is_available()):
        return None
    return precision


def _lr_facts(task: Task) -> list[str]:
    """Whether LR images are read or made; of each set, where they differ in that. None for the photographs."""
    if task.settings.train is None:
        return []
    train, valid = task.train.lr_said, task.valid.lr_said
    return [
        f"LR images   {train}"
        if train == valid
        else f"LR images   of {task.train.name}: {train}; of {task.valid.name}: {valid}"
    ]


def facts(context: TrialContext) -> list[str]:
    """Lines for the user about what the search works with."""
    task, bicubic = context.task, decibels(context.references["bicubic"]["psnr_y"])
    lines = []
    for space in task.joint_space:
        teacher = context.teachers[space.name]
        taught = "" if space.target is space.teacher else f", students learn from {space.target_name}"
        lines += [
            f"space       {space.name}: {quantity(space.space.size, 'config', format_count)}; "
            f"budget {task.settings.budget}",
            f"teacher     {space.teacher_name}: x{task.scale}, {format_count(teacher['flops'])} FLOPs, "
            f"{decibels(teacher['psnr_y'])} dB (bicubic {bicubic} dB){taught}",
        ]
    if task.settings.score is Score.TEACHER:
        to_teacher = context.references["bicubic"][TO_TEACHER]
        lines.append(f"chosen by   PSNR to {space.target_name}'s output, where bicubic has {decibels(to_teacher)} dB")
    lines += [
        f"images      {images_in_words(len(context.bank), task.train.name)} to train on, "
        f"{images_in_words(len(context.valid), task.valid.name)} to choose by",
        *_lr_facts(task),
        *(
            [f"few images  all choices rest on {len(context.valid)}; give --val a folder of ten or more"]
            if ImageSet.of(task.valid, len(context.valid)).are_few
            else []
        ),
        f"arithmetic  {context.precision}",
    ]
    for name, reason in context.skipped.items():
        lines.append(f"skipped     {name}: {reason}")
    return lines
