"""Sending a search's task to other nodes: networks and spaces are pickled; images are read there, and compared."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from autocompress.compute.precision import Precision
from autocompress.errors import AutocompressError
from autocompress.networks.base import Family
from autocompress.networks.registry import register
from autocompress.search.run.crops import Pieces
from autocompress.search.settings import OnRay, Settings
from autocompress.search.space.joint_space import JointSpace
from autocompress.search.task import Task, open_task
from autocompress.search.trial.context import TrialContext
from autocompress.search.trial.messages import Work
from autocompress.search.trial.piece import work_on
from autocompress.search.trial.preparation import prepare


@dataclass(frozen=True)
class SentTask:
    """A task to be pickled: `digests` are those of its images; with `precision` None each node chooses its own.

    `families` are those of a user's own code, or of spandrel, which are not known on a node. Of `crops` only their
    places are used there, not their files.
    """

    settings: Settings
    joint_space: JointSpace
    families: tuple[Family, ...]
    digests: tuple[str, str]
    precision: Precision | None
    threads: int
    crops: Pieces

    @classmethod
    def of(cls, context: TrialContext, wanted: OnRay) -> SentTask:
        """The same as the search's, in its precision if trials have the same kind of device."""
        task, precision = context.task, context.precision
        settings = replace(task.settings, train=_absolute(task.settings.train), val=_absolute(task.settings.val))
        joint_space = copy.deepcopy(task.joint_space)  # the search's own stay on its device
        for space in joint_space:
            space.teacher.cpu()
            space.target.cpu()
        same = (precision.device == "cuda") == bool(wanted.gpus)
        theirs = replace(precision, threads=wanted.cpus) if same else None
        spaces = list(task.joint_space)
        families = (family for space in spaces for family in (space.family, space.teacher_family))
        own = tuple({family.name: family for family in families if family.derives_space}.values())
        return cls(
            settings, joint_space, own, (task.train.digest, task.valid.digest), theirs, wanted.cpus, context.crops
        )

    def open(self) -> Work:
        """AutocompressError if the images are missing on this node, or are others."""
        torch.set_num_threads(self.threads)
        for family in self.families:
            register(family)
        for folder in (self.settings.train, self.settings.val):
            if folder is not None and not folder.is_dir():
                raise AutocompressError(
                    f"{folder}: no such folder here; images must have the same path on every node of the cluster"
                )
        task = open_task(self.settings, self.joint_space)
        self._check(task)
        context = prepare(task, precision=self.precision, crops=self.crops)
        return partial(work_on, context=context)

    def _check(self, task: Task) -> None:
        for source, digest in zip((task.train, task.valid), self.digests, strict=True):
            if source.digest != digest:
                raise AutocompressError(f"{source.name}: other images here than the search has; copy them anew")


def _absolute(folder: Path | None) -> Path | None:
    return None if folder is None else folder.absolute()
