"""What is logged of a search, whatever it is written by: how the front grows, and students' learning curves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from typing_extensions import override

from autocompress.search.callbacks import SearchCallback
from autocompress.search.pareto import Point, ReferencePoint, front, hypervolume
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.student import StoredStudent
from autocompress.search.space.search_space import Candidate
from autocompress.units import decibels, format_count, format_milliseconds

HEADINGS = ("trial", "student", "cost", "PSNR-Y dB")  # of the table of a front


class Sink(Protocol):
    """What a log is written to. `over` is how many trials and pieces of refinement have ended."""

    def curve(self, trial: int, name: str, step: int, value: float) -> None:
        """One more point of a trial's curve of this name."""

    def student(self, trial: int, values: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """A student with what its trial varied, and what came out."""

    def front(self, over: int, scalars: Mapping[str, float], table: Sequence[Sequence[object]]) -> None:
        """The front as it is now, by its numbers and as rows under HEADINGS."""

    def note(self, name: str, text: str, over: int) -> None:
        """A text for people."""

    def close(self) -> None:
        """Write what is left, and end."""


@dataclass
class SearchLog(SearchCallback):
    """Logs a curve for each trial, and beside them the front of all sessions after each trial and piece that ended.

    A curve has `psnr_y` over the steps, in refinement too; `psnr_y_repeated` are those of trainings with other seeds.
    The front has `hypervolume`, `size` and the best `psnr_y`.
    """

    run: RunFolder
    sink: Sink
    _begun: dict[int, int] = field(default_factory=dict)  # the steps of a student before the piece that goes on
    _pieces: dict[int, int] = field(default_factory=dict)  # the steps of the piece of refinement that goes on
    _repeats: Counter[int] = field(default_factory=Counter)
    _corner: ReferencePoint | None = None
    _over: int = 0

    @override
    def on_prepared(self, facts: list[str]) -> None:
        config = self.run.config
        teacher, latency = config.references.teacher, config.search.objective == "latency"
        cost = teacher.latency_ms if latency else teacher.flops
        self._corner = ReferencePoint(float(cost or 0), config.references.bicubic.score)
        self._over = len(self.run.students())  # of earlier sessions
        self.sink.note("search", "\n".join(facts), self._over)

    @override
    def on_trial_start(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self.sink.curve(trial, "psnr_y", 0, psnr)

    @override
    def on_rung(self, trial: int, step: int, psnr: float) -> None:
        self.sink.curve(trial, "psnr_y", step, psnr)

    @override
    def on_trial_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self.sink.curve(trial, "psnr_y", candidate.recipe.steps, psnr)
        values = {
            name: value for name, value in candidate.values.items() if isinstance(value, bool | str | int | float)
        }
        metrics = {"psnr_y": psnr, "flops": candidate.flops, "params": candidate.params}
        self.sink.student(trial, {"space": candidate.space, **values}, metrics)
        self._front()

    @override
    def on_trial_pruned(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.sink.note("stopped", f"trial {trial}: {reason}", self._over)
        self._front()

    @override
    def on_trial_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.sink.note("failed", f"trial {trial}: {reason}", self._over)

    @override
    def on_piece_start(self, trial: int, candidate: Candidate, steps: int, psnr: float) -> None:
        student = self.run.student(trial)
        self._begun[trial] = candidate.recipe.steps if student is None else self._steps(student)
        self._pieces[trial] = steps

    @override
    def on_piece_score(self, trial: int, step: int, psnr: float) -> None:
        self.sink.curve(trial, "psnr_y", self._begun[trial] + step, psnr)

    @override
    def on_piece_end(self, trial: int, candidate: Candidate, before: float, after: float) -> None:
        self.sink.curve(trial, "psnr_y", self._begun.pop(trial) + self._pieces.pop(trial), after)
        self._front()

    @override
    def on_repeat_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self._repeats[trial] += 1
        self.sink.curve(trial, "psnr_y_repeated", self._repeats[trial], psnr)

    @override
    def on_repeat_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.sink.note("failed", f"another training of trial {trial}: {reason}", self._over)

    def _steps(self, student: StoredStudent) -> int:
        """How many steps a student has trained."""
        own = student.provenance.recipe.get("steps", self.run.config.search.recipe["steps"])
        return int(own) + student.refined_steps

    def _front(self) -> None:
        """Log the front as it is now, after one more trial or piece."""
        self._over += 1
        students = {student.trial: student for student in self.run.students()}
        points = front([Point(trial, student.score, student.cost) for trial, student in students.items()])
        if self._corner is None or not points:
            return
        form = format_milliseconds if self.run.config.search.objective == "latency" else format_count
        rows = [(p.trial, students[p.trial].shape, form(p.cost), decibels(p.psnr)) for p in points]
        best = max(point.psnr for point in points)
        scalars = {"hypervolume": hypervolume(points, self._corner), "size": float(len(points)), "psnr_y": best}
        self.sink.front(self._over, scalars, rows)
