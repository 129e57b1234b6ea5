"""After the trials: the students of the front are trained again with other seeds, to see how far their scores spread.

A repeat's scores are kept beside its student, in trials/0007/repeats/1/student.json; its weights are not, and the
student stays as it is.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

from autocompress.errors import DiskFull, RunError
from autocompress.search.backends.base import Backend
from autocompress.search.callbacks import SearchCallback
from autocompress.search.results.rows import front_rows
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.student import StoredStudent
from autocompress.search.settings import MAX_SEED
from autocompress.search.space.search_space import Candidate
from autocompress.search.task import Task
from autocompress.search.trial.messages import Failed, Finished, Job, Message, PartDone, RungReached, StepDone
from autocompress.search.tuner import POLL, TIME_IS_UP, Outcome

MAX_ATTEMPTS = 3  # at one repeat, in a session
SEEDS_APART = 1_000_000  # so that no repeat has the patches of another one or of a trial


@dataclass(frozen=True)
class _Repeat:
    """The training of a trial's student that is to be done once more; 1 is the first time after its own."""

    trial: int
    ordinal: int
    candidate: Candidate


class Repeater:
    """Trains each student of a run's front until it has been trained `count` times in all, by the search's recipe.

    What earlier sessions have done is not done again; what one has left unfinished goes on from its last rung.
    `deadline` is the time of `clock`, in seconds, at which the session ends.
    """

    def __init__(
        self,
        run: RunFolder,
        task: Task,
        count: int,
        callback: SearchCallback,
        deadline: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._task = task
        self._count = count
        self._callback = callback
        self._deadline = deadline
        self._clock = clock
        self._waiting = deque[_Repeat]()
        self._open: dict[int, _Repeat] = {}  # by the number of their job
        self._failed = Counter[tuple[int, int]]()
        self._jobs = 0

    def run(self, backend: Backend) -> Outcome:
        """Run until all is done or the time is up, or the user interrupts; the backend is closed."""
        try:
            with closing(backend):
                students = self._read_front()
                self._waiting.extend(self._missing(students))
                if self._waiting:
                    self._callback.on_repeats(len(self._waiting))
                while self._waiting or self._open:
                    if self._deadline is not None and self._clock() >= self._deadline:
                        return Outcome(TIME_IS_UP)
                    while self._waiting and backend.free_slots():
                        backend.start(self._begin(self._waiting.popleft()))
                    for message in backend.poll(POLL):
                        self._handle(message, backend)
        except KeyboardInterrupt:
            return Outcome("interrupted", interrupted=True)
        return Outcome(f"each student of the front ({len(students)}) was trained {self._count} times")

    def _read_front(self) -> list[StoredStudent]:
        """The students of the front, the best first."""
        trials = [row["trial"] for row in front_rows(self._run)]
        students = [student for student in self._run.students() if student.trial in trials]
        return sorted(students, key=lambda student: trials.index(student.trial), reverse=True)

    def _missing(self, students: list[StoredStudent]) -> list[_Repeat]:
        """First one repeat of each student, then a second one, so that what is done when time is up says most."""
        found = []
        for ordinal in range(1, self._count):
            for student in students:
                if self._run.repeat(student.trial, ordinal) is None:
                    found.append(_Repeat(student.trial, ordinal, self._candidate(student, ordinal)))
                else:
                    self._run.keep_scores_of_repeat(student.trial, ordinal)
        return found

    def _candidate(self, student: StoredStudent, ordinal: int) -> Candidate:
        """The candidate of a student's trial, with another seed."""
        point, seed = student.provenance.point, student.provenance.recipe["seed"]
        if point is None:
            raise RunError(
                f"{self._run.path}: trial {student.trial} was written by an older version, which did not say enough to "
                "train its student again; leave --repeats out"
            )
        recipe = replace(self._task.recipe, seed=(seed + SEEDS_APART * ordinal) % (MAX_SEED + 1))
        return replace(self._task.joint_space.candidate(point, recipe), latency=student.latency_ms)

    def _begin(self, repeat: _Repeat) -> Job:
        self._jobs += 1
        self._open[self._jobs] = repeat
        self._callback.on_repeat_start(repeat.trial, repeat.candidate)
        folder = self._run.repeat_folder(repeat.trial, repeat.ordinal)
        return Job(self._jobs, repeat.candidate, folder, folder / "state.pt")

    def _handle(self, message: Message, backend: Backend) -> None:
        match message:
            case PartDone(number, part, share):
                repeat = self._open[number]
                self._callback.on_part(repeat.trial, repeat.candidate, part, share)
            case StepDone(number, step):
                self._callback.on_step(self._open[number].trial, step)
            case RungReached(number):
                backend.resume(number)
            case Finished(number):
                self._finish(self._open.pop(number))
            case Failed(reason=reason, ends_search=True):
                raise DiskFull(reason)
            case Failed(number):
                repeat = self._open.pop(number)
                # it may have died after its end, before it could say so
                if self._run.repeat(repeat.trial, repeat.ordinal) is None:
                    self._fail(repeat, message)
                else:
                    self._finish(repeat)

    def _finish(self, repeat: _Repeat) -> None:
        written = self._run.repeat(repeat.trial, repeat.ordinal)
        assert written is not None  # it was written before its end was told
        self._run.keep_scores_of_repeat(repeat.trial, repeat.ordinal)
        psnr = written.score
        self._log(repeat, f"finished with {psnr:.4f} dB")
        self._callback.on_repeat_complete(repeat.trial, repeat.candidate, psnr)

    def _fail(self, repeat: _Repeat, end: Failed) -> None:
        self._failed[repeat.trial, repeat.ordinal] += 1
        self._log(repeat, f"failed: {end.reason}")
        self._callback.on_repeat_fail(repeat.trial, repeat.candidate, end.reason)
        if end.again and self._failed[repeat.trial, repeat.ordinal] < MAX_ATTEMPTS:
            self._waiting.append(repeat)

    def _log(self, repeat: _Repeat, what: str) -> None:
        self._run.log(repeat.trial).write(f"repeat {repeat.ordinal}, seed {repeat.candidate.recipe.seed}: {what}")
