"""The loop of a refinement: choose a student, hand out a piece, poll for messages, until time or steps are up."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from autocompress.distill.recipe import Recipe
from autocompress.errors import DiskFull
from autocompress.search.backends.base import Backend
from autocompress.search.callbacks import SearchCallback
from autocompress.search.pareto import Point, ReferencePoint, front
from autocompress.search.run.dashboard_writer import DashboardWriter
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.student import StoredStudent
from autocompress.search.sampling.allocation import Limits, Plan, next_piece
from autocompress.search.space.cost import LATENCY_MS, allows
from autocompress.search.space.joint_space import JointSpace
from autocompress.search.space.search_space import Candidate
from autocompress.search.trial.messages import Failed, Finished, Message, PartDone, PieceJob, RungReached, StepDone
from autocompress.search.trial.piece import begun_piece
from autocompress.search.tuner import POLL, TIME_IS_UP, TIMES_EVERY, Outcome
from autocompress.units import quantity

MAX_ATTEMPTS = 3  # at pieces of one student that fail, in a session
SAVE_EVERY = 20.0  # seconds of a training that a kill may lose


@dataclass(frozen=True)
class _Open:
    """A piece that is being trained."""

    job: PieceJob
    before: float  # dB


@dataclass(frozen=True)
class Extent:
    """How far a session refines: each student for up to `steps` more in all its pieces, until the clock's `deadline`.

    `save_every` is how many seconds of a training a kill may lose.
    """

    steps: int | None = None
    deadline: float | None = None
    clock: Callable[[], float] = time.monotonic
    save_every: float = SAVE_EVERY

    @property
    def seconds_left(self) -> float | None:
        """Until the deadline; None where there is none."""
        return None if self.deadline is None else self.deadline - self.clock()


class Refiner:
    """Refines the front of one run, whose students nobody else changes meanwhile.

    `write_times` is called with the seconds that it has taken, now and then and at the end.
    """

    def __init__(
        self,
        run: RunFolder,
        joint_space: JointSpace,
        callback: SearchCallback,
        extent: Extent,
        writer: DashboardWriter | None = None,
        write_times: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._run = run
        self._joint_space = joint_space
        self._callback = callback
        self._extent = extent
        self._writer = writer
        self._write_times = write_times
        self._students: dict[int, StoredStudent] = {}  # those within the budget, by trial
        self._own_steps: dict[int, int] = {}
        self._begun: dict[int, int] = {}  # the steps of pieces that an earlier session has left unfinished
        self._open: dict[int, _Open] = {}
        self._failed = Counter[int]()
        self._given_up = set[int]()
        self._started = 0.0
        self._write_times_again = 0.0

    def run(self, backend: Backend) -> Outcome:
        """Run until the steps or the time are used up, or the user interrupts.

        What is unfinished then goes on in the next session, from its last state.
        """
        self._started = self._extent.clock()
        self._read_students()
        reference = self._run.config.references
        cost = getattr(reference.teacher, LATENCY_MS) or reference.teacher.flops
        corner = ReferencePoint(cost, reference.bicubic.score)
        try:
            with closing(backend):
                self._callback.on_refinement(len(self._on_front()), self._extent.seconds_left)
                return Outcome(self._loop(backend, corner))
        except KeyboardInterrupt:
            return Outcome("interrupted", interrupted=True)
        finally:
            self._write_times(self._extent.clock() - self._started)

    def _loop(self, backend: Backend, corner: ReferencePoint) -> str:
        """Returns why it ended."""
        while True:
            now = self._extent.clock()
            if now >= self._write_times_again:
                self._write_times(now - self._started)
                self._write_times_again = now + TIMES_EVERY
            if self._extent.deadline is not None and now >= self._extent.deadline:
                return TIME_IS_UP
            if backend.free_slots() and (plan := self._plan(corner)) is not None:
                backend.start(self._begin(plan))
            elif not self._open:
                return self._why_nothing_is_left()
            for message in backend.poll(POLL):
                self._handle(message, backend)

    def _why_nothing_is_left(self) -> str:
        if self._given_up and self._given_up >= self._on_front():
            return "every student of the front failed to train on"
        if self._extent.steps is not None and self._extent.seconds_left is None:
            return f"every student of the front has trained for {quantity(self._extent.steps, 'step')} more"
        return "the time that is left is too short for another piece"

    def _read_students(self) -> None:
        """Read the students within the budget, and what earlier sessions have begun and not finished."""
        config, limit = self._run.config, self._run.config.search.budget
        for student in self._run.students():
            costs = {"flops": student.flops, "params": student.params, LATENCY_MS: student.latency_ms}
            if allows(limit, costs):
                self._students[student.trial] = student
                recorded = student.provenance.recipe.get("steps")
                self._own_steps[student.trial] = recorded or config.search.recipe["steps"]
        eligible = self._on_front()
        for folder in self._run.trial_folders():
            trial = int(folder.name)
            for left in folder.glob(".*.tmp"):  # of a session that was killed
                if left.is_file() or left.is_symlink():
                    left.unlink()
            if not (file := self._run.refinement_state(trial)).is_file():
                continue
            begun = begun_piece(file)
            pieces = len(self._students[trial].provenance.refinements) if trial in eligible else None
            if begun is not None and begun[0] == pieces:
                self._begun[trial] = begun[1]
            else:  # of a piece that is over, or of a student that was overtaken since
                file.unlink()

    def _on_front(self) -> set[int]:
        points = [Point(each.trial, each.score, each.cost) for each in self._students.values()]
        return {point.trial for point in front(points)}

    def _plan(self, corner: ReferencePoint) -> Plan | None:
        limits = Limits(self._extent.steps, self._extent.seconds_left)
        excluded = self._given_up | self._open.keys()
        return next_piece(list(self._students.values()), self._own_steps, corner, limits, self._begun, excluded)

    def _begin(self, plan: Plan) -> PieceJob:
        student = self._students[plan.trial]
        candidate = self._candidate(student)
        job = PieceJob(
            plan.trial,
            candidate,
            self._run.trial(plan.trial),
            self._run.refinement_state(plan.trial),
            student,
            student.file.read_bytes(),
            plan.steps,
            self._extent.save_every,
        )
        before = student.score
        self._open[plan.trial] = _Open(job, before)
        expected = f"{plan.gain:.3f} dB expected in {plan.seconds:.0f} s"
        self._log(plan.trial, f"piece {job.ordinal + 1} of its refinement, {quantity(plan.steps, 'step')}: {expected}")
        self._callback.on_piece_start(plan.trial, candidate, plan.steps, before)
        return job

    def _candidate(self, student: StoredStudent) -> Candidate:
        """The student as a candidate of its space, with the recipe that it was trained by."""
        space = self._joint_space.of_student(student.provenance.space)
        config = space.family.config_class.from_dict(student.config)
        known = space.family.fields_of(config)
        counts = {count.name: known[count.name] for count in space.space.counts if count.name in known}
        recipe = Recipe.from_dict({**student.provenance.recipe, "steps": self._own_steps[student.trial]})
        return Candidate(space.name, counts, config, recipe, student.flops, student.params, student.latency_ms)

    def _handle(self, message: Message, backend: Backend) -> None:
        if message.number not in self._open:  # it was stopped just now: late messages are ignored
            return
        match message:
            case PartDone(number, part, share):
                self._callback.on_part(number, self._open[number].job.candidate, part, share)
            case StepDone(number, step):
                self._callback.on_step(number, step)
            case RungReached(number, step, psnr):
                self._callback.on_piece_score(number, step, psnr)
                if number in self._on_front():
                    backend.resume(number)
                else:
                    backend.stop(number)
                    self._close(number, "stopped: other students have overtaken it")
            case Finished(number):
                self._finish(number)
            case Failed(reason=reason, ends_search=True):
                raise DiskFull(reason)
            case Failed(number):
                student, known = self._run.student(number), self._students[number]
                if student is not None and student.refined_steps > known.refined_steps:
                    self._finish(number)  # it died after its end, before it could say so
                else:
                    self._fail(message)

    def _finish(self, number: int) -> None:
        student = self._run.student(number)
        assert student is not None  # it was written before its end was told
        self._students[number] = student
        after = student.score
        piece = self._close(number, f"ended with {student.provenance.refinements[-1].psnr_y:.4f} dB")
        if self._writer is not None:
            self._writer.refined(student)
        self._callback.on_piece_end(number, piece.job.candidate, piece.before, after)

    def _fail(self, end: Failed) -> None:
        self._failed[end.number] += 1
        again = end.again and self._failed[end.number] < MAX_ATTEMPTS
        state = self._run.refinement_state(end.number)
        begun = begun_piece(state) if again else None
        piece = self._close(end.number, f"failed: {end.reason}", removes_state=begun is None)
        if begun is not None:
            self._begun[end.number] = begun[1]
        if not again:
            self._given_up.add(end.number)
        self._callback.on_trial_fail(end.number, piece.job.candidate, end.reason)

    def _close(self, number: int, how: str, removes_state: bool = True) -> _Open:
        self._log(number, how)
        self._begun.pop(number, None)
        if removes_state:
            self._run.refinement_state(number).unlink(missing_ok=True)
        return self._open.pop(number)

    def _log(self, number: int, what: str) -> None:
        self._run.log(number).write(what)
