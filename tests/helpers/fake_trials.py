"""Searches whose trials do nothing but sleep and tell made-up scores; run as a program, to be killed.

    python tests/helpers/fake_trials.py SETTINGS.json [join]

With one worker and no limit to a trial's time it works in its own process, as a real search does.

What is made up is a function of the candidate alone, so an end can be compared with any other.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autocompress import search
from autocompress.compute.precision import Precision
from autocompress.errors import AutocompressError, InvalidInput
from autocompress.io import atomic
from autocompress.search import SearchCallback, Settings
from autocompress.search.backends.base import Backend
from autocompress.search.backends.in_memory import RUNGS, write_student
from autocompress.search.backends.processes import ProcessBackend
from autocompress.search.backends.serial import SerialBackend
from autocompress.search.trial.messages import Failed, Finished, Job, Message, RungReached, StepDone, Work


@dataclass(frozen=True)
class FakeSetup:
    """`seconds` a trial; at the step `hangs_at` and so on one trial does so, or `always` every one."""

    seconds: float = 0.0
    hangs_at: int | None = None
    kills_itself_at: int | None = None
    raises_at: int | None = None
    always: bool = False
    dies_first: bool = False  # before it is ready
    hangs_first: bool = False
    sessions: int = 1  # the first trial waits for so many

    def open(self) -> Work:
        if self.dies_first:
            os._exit(3)
        if self.hangs_first:
            time.sleep(1000)
        return self.work

    def work(self, job: Job) -> Iterator[Message]:
        """As a real trial: scores at rungs, a state after each, and a student at the end."""
        self._wait_for_sessions(job.folder.parent.parent)
        state = json.loads(job.state_file.read_text()) if job.state_file.is_file() else {}
        yield RungReached(job.number, 0, score(job, 0))
        for rung in RUNGS:
            if str(rung) not in state:
                time.sleep(self.seconds / len(RUNGS))
                yield StepDone(job.number, rung)
                if self._misbehaves(job, rung):
                    yield Failed(job.number, "the fake trial raised")
                    return
                state[str(rung)] = score(job, rung)
                if rung < RUNGS[-1]:
                    atomic.write_json(job.state_file, state)
            if rung < RUNGS[-1]:
                yield RungReached(job.number, rung, state[str(rung)])
        metrics = {name: state[str(RUNGS[-1])] for name in ("psnr_y", "ssim_y")}
        write_student(job, metrics, {0: score(job, 0)} | {step: state[str(step)] for step in RUNGS[:-1]})
        yield Finished(job.number, metrics, {"training": self.seconds})

    def _wait_for_sessions(self, run: Path) -> None:
        if self.sessions == 1:  # a node may not even see the run folder
            return
        while not (run / "gathered").exists() and len(list(run.glob("sessions/*.lock"))) < self.sessions:
            time.sleep(0.05)
        (run / "gathered").touch()

    def _misbehaves(self, job: Job, rung: int) -> bool:
        """Whether it raises here; it may not come back from here at all."""
        once = job.folder.parent.parent / "misbehaved"
        if rung not in (self.hangs_at, self.kills_itself_at, self.raises_at) or (once.exists() and not self.always):
            return False
        once.touch()
        if rung == self.kills_itself_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if rung == self.hangs_at:
            time.sleep(1000)
        return True


def score(job: Job, step: int) -> float:
    """More FLOPs and more steps are better, up to what looks like chance."""
    candidate = job.candidate
    chance = math.sin(1000 * candidate.recipe.learning_rate + 7 * candidate.flops % 13 + candidate.recipe.seed)
    return 30 + math.log10(candidate.flops / 1e9) + step / 1000 + 0.2 * chance


def run(
    settings: Settings, setup: FakeSetup, here: bool = False, callback: SearchCallback | None = None, **own: Any
) -> search.Outcome:
    """A whole search over fake trials; `here`: in this process, unless it has several workers or a time limit."""
    backend = make_backend(settings, setup, here)
    callback = callback or SearchCallback()
    return search.search(settings, callback, backend=backend, precision=Precision(), **own)[1]


def join(settings: Settings, setup: FakeSetup, here: bool = False) -> search.Outcome:
    """One more session of it."""
    own: dict[str, Any] = {"backend": make_backend(settings, setup, here), "precision": Precision()}
    return search.join(settings.folder, SearchCallback(), settings.processes, storage=settings.storage, **own)[1]


def make_backend(settings: Settings, setup: FakeSetup, here: bool = False) -> Backend:
    """As a real search has it."""
    if settings.ray is not None:
        from autocompress.search.backends.ray.backend import RayBackend

        return RayBackend(setup, settings.ray, settings.folder, settings.trial_timeout)
    if here and settings.processes == 1 and settings.trial_timeout is None:
        return SerialBackend(setup.open())
    return ProcessBackend(setup, settings.processes, settings.trial_timeout)


def write_settings(file: Path, settings: Settings, setup: FakeSetup) -> Path:
    """For the program."""
    content = settings.to_dict() | {"setup": dataclasses.asdict(setup)}
    file.write_text(json.dumps(content))
    return file


def main() -> None:
    wanted: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    setup = FakeSetup(**wanted.pop("setup"))
    begin = join if sys.argv[2:] == ["join"] else run
    try:
        print(begin(Settings.from_dict(wanted), setup, here=True).reason)
    except AutocompressError as error:  # as the command line does
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InvalidInput) else 1)


if __name__ == "__main__":
    main()
