"""Event files of a search for TensorBoard, written while it runs: how the front grows, and students' learning curves.

It is a `SearchCallback` as anybody may write one; docs/python.md has one of a few lines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

from typing_extensions import override

from autocompress.distill.recipe import VARIABLE
from autocompress.errors import InvalidInput
from autocompress.search.callbacks import SearchCallback
from autocompress.search.pareto import Point, ReferencePoint, front, hypervolume
from autocompress.search.run.folder import RunFolder
from autocompress.search.space.search_space import Candidate
from autocompress.units import decibels, format_count, format_milliseconds

FOLDER = "tensorboard"  # in the run folder
FLUSH = 5  # seconds until what is written can be seen


@dataclass
class EventLog(SearchCallback):
    """Writes event files into a run's folder: a curve for each trial, and beside them the front after each.

    Each trial is a run of TensorBoard: `psnr_y` over its steps, and its parameters and costs among the hyperparameters.
    The front's `hypervolume`, `size` and best `psnr_y` are over the trials that ended, and its table is a text.
    """

    run: RunFolder
    _points: dict[int, Point] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)
    _steps: dict[int, int] = field(default_factory=dict)  # that a student has trained, without the piece that goes on
    _pieces: dict[int, int] = field(default_factory=dict)  # the steps of the piece of refinement that goes on
    _writers: dict[str, Any] = field(default_factory=dict)
    _corner: ReferencePoint | None = None
    _over: int = 0

    @classmethod
    def of(cls, path: Path) -> EventLog:
        """The log of a run; InvalidInput where what writes event files is not installed."""
        if find_spec("tensorboardX") is None:
            raise InvalidInput(
                "--log tensorboard needs tensorboardX, which is not installed; pip install 'autocompress[tensorboard]'"
            )
        return cls(RunFolder(path))

    def close(self) -> None:
        """Write what is left, and end all files."""
        for writer in self._writers.values():
            writer.close()

    @override
    def on_prepared(self, facts: list[str]) -> None:
        config = self.run.config
        teacher, latency = config.references.teacher, config.search.objective == "latency"
        cost = teacher.latency_ms if latency else teacher.flops
        self._corner = ReferencePoint(float(cost or 0), config.references.bicubic.score)
        for student in self.run.students():  # of earlier sessions
            self._points[student.trial] = Point(student.trial, student.score, student.cost)
            self._names[student.trial] = student.shape
            steps = student.provenance.recipe.get("steps", config.search.recipe["steps"])
            self._steps[student.trial] = int(steps) + student.refined_steps
        self._over = len(self._points)
        self._writer().add_text("search", "\n".join(f"    {fact}" for fact in facts))

    @override
    def on_trial_start(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self._curve(trial, 0, psnr)

    @override
    def on_rung(self, trial: int, step: int, psnr: float) -> None:
        self._curve(trial, step, psnr)

    @override
    def on_trial_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self._steps[trial] = candidate.recipe.steps
        self._curve(trial, candidate.recipe.steps, psnr)
        counts = (f"{name}={value}" for name, value in candidate.values.items() if name not in VARIABLE)
        self._names[trial] = " ".join([candidate.space, *counts])
        self._points[trial] = Point(trial, psnr, candidate.cost)
        metrics = {"hparam/psnr_y": psnr, "hparam/flops": candidate.flops, "hparam/params": candidate.params}
        values = {
            name: value for name, value in candidate.values.items() if isinstance(value, bool | str | int | float)
        }
        self._writer().add_hparams({"space": candidate.space, **values}, metrics, name=_folder(trial))
        self._front()

    @override
    def on_trial_pruned(self, trial: int, candidate: Candidate, reason: str) -> None:
        self._writer().add_text("stopped", f"trial {trial}: {reason}", self._over)
        self._front()

    @override
    def on_trial_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        self._writer().add_text("failed", f"trial {trial}: {reason}", self._over)

    @override
    def on_piece_score(self, trial: int, step: int, psnr: float) -> None:
        self._curve(trial, self._steps[trial] + step, psnr)

    @override
    def on_piece_start(self, trial: int, candidate: Candidate, steps: int, psnr: float) -> None:
        self._pieces[trial] = steps

    @override
    def on_piece_end(self, trial: int, candidate: Candidate, before: float, after: float) -> None:
        self._steps[trial] += self._pieces.pop(trial)
        self._curve(trial, self._steps[trial], after)
        self._points[trial] = Point(trial, after, candidate.cost)
        self._front()

    def _curve(self, trial: int, step: int, psnr: float) -> None:
        self._writer(_folder(trial)).add_scalar("psnr_y", psnr, step)

    def _front(self) -> None:
        """Write the front as it is now, after one more trial."""
        self._over += 1
        points = front(list(self._points.values()))
        if self._corner is None or not points:
            return
        writer = self._writer()
        writer.add_scalar("front/hypervolume", hypervolume(points, self._corner), self._over)
        writer.add_scalar("front/size", len(points), self._over)
        writer.add_scalar("front/psnr_y", max(point.psnr for point in points), self._over)
        form = format_milliseconds if self.run.config.search.objective == "latency" else format_count
        lines = (f"| {p.trial} | {self._names[p.trial]} | {form(p.cost)} | {decibels(p.psnr)} |" for p in points)
        table = "\n".join(["| trial | student | cost | PSNR-Y dB |", "|---|---|---|---|", *lines])
        writer.add_text("front", table, self._over)

    def _writer(self, name: str = "") -> Any:
        if name not in self._writers:
            from tensorboardX import SummaryWriter

            folder = str(self.run.path / FOLDER / name)
            # files are called by the second: two sessions that begin in the same one must not write into each other's
            suffix = f".{uuid4().hex}"
            self._writers[name] = SummaryWriter(folder, flush_secs=FLUSH, filename_suffix=suffix)
        return self._writers[name]


def _folder(trial: int) -> str:
    return f"trial-{trial:04d}"
