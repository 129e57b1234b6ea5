"""A search whose trials do nothing but sleep and tell made-up scores, as real ones do; run as a program, to be killed.

    python tests/stub.py SETTINGS.json [join]

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autocompress import search
from autocompress.compute import precision
from autocompress.compute.precision import Precision
from autocompress.errors import AutocompressError, InvalidInput
from autocompress.io import checkpoints
from autocompress.search import SearchCallback, Settings, running
from autocompress.search.backends.processes import ProcessBackend, Work
from autocompress.search.space.cost import LATENCY_MS
from autocompress.search.trial.work import Backend, Failed, Finished, Job, RungReached, Source, Step, Tell

RUNGS = (33, 100, 300)


@dataclass(frozen=True)
class StubSetup:
    """`seconds` a trial; at the step `hangs_at` and so on one trial does so, or `always` every one."""

    seconds: float = 0.0
    hangs_at: int | None = None
    kills_itself_at: int | None = None
    raises_at: int | None = None
    always: bool = False
    dies_at_birth: bool = False
    hangs_at_birth: bool = False
    sessions: int = 1  # the first trial waits for so many

    def open(self) -> Work:
        """See `Setup.open`."""
        if self.dies_at_birth:
            os._exit(3)
        if self.hangs_at_birth:
            time.sleep(1000)
        return self.work

    def work(self, job: Job, tell: Tell) -> None:
        """As a real trial: scores at rungs, a state after each, and a student at the end."""
        self._gather(job.folder.parent.parent)
        state = json.loads(job.state_file.read_text()) if job.state_file.is_file() else {}
        if not tell(RungReached(job.number, 0, score(job, 0))):
            return
        for rung in RUNGS:
            if str(rung) not in state:
                time.sleep(self.seconds / len(RUNGS))
                tell(Step(job.number, rung))
                if self._misbehaves(job, rung):
                    tell(Failed(job.number, "the stub raised"))
                    return
                state[str(rung)] = score(job, rung)
                if rung < RUNGS[-1]:
                    checkpoints.write_json(job.state_file, state)
            if rung < RUNGS[-1] and not tell(RungReached(job.number, rung, state[str(rung)])):
                return
        metrics = {name: state[str(RUNGS[-1])] for name in ("psnr_y", "ssim_y")}
        candidate = job.candidate
        described = {"family": "edsr", "config": candidate.config.to_dict(), "flops": candidate.flops}
        described |= {
            "params": candidate.params,
            "metrics": metrics,
            "provenance": {
                "recipe": candidate.recipe.to_dict(),
                "point": dict(candidate.values),
                "scores": {"0": score(job, 0)} | {step: state[step] for step in map(str, RUNGS[:-1])},
            },
        }
        if candidate.latency is not None:
            described[LATENCY_MS] = candidate.latency
        checkpoints.write_text(job.folder / "student.safetensors", "no weights")
        checkpoints.write_json(job.folder / "student.json", described)
        tell(Finished(job.number, metrics, {"training": self.seconds}))

    def _gather(self, run: Path) -> None:
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


class Quiet(SearchCallback):
    """Tells nothing."""


class StubHere:
    """The engine of one process, with the stub's work."""

    def __init__(self, setup: StubSetup) -> None:
        self._work = setup.open()

    def run(self, source: Source) -> None:
        while (job := source.next_job()) is not None:
            self._work(job, source.answer)


def run(settings: Settings, setup: StubSetup, here: bool = False) -> search.Outcome:
    """A whole search over the stub."""
    _put_in(setup, here)
    return search.search(settings, Quiet())[1]


def join(settings: Settings, setup: StubSetup, here: bool = False) -> search.Outcome:
    """One more session of it."""
    _put_in(setup, here)
    return search.join(settings.folder, Quiet(), settings.processes, storage=settings.storage)[1]


def _put_in(setup: StubSetup, here: bool) -> None:
    precision.choose = Precision

    def engine(wanted: Settings, _: object) -> Backend:
        if wanted.ray is not None:
            from autocompress.search.backends.ray.engine import RayBackend

            return RayBackend(setup, wanted.ray, wanted.folder, wanted.trial_timeout)
        if here and wanted.processes == 1 and wanted.trial_timeout is None:
            return StubHere(setup)
        return ProcessBackend(setup, wanted.processes, wanted.trial_timeout)

    running._engine = engine


def write_settings(file: Path, settings: Settings, setup: StubSetup) -> Path:
    """For the program."""
    content = settings.to_dict() | {"setup": dataclasses.asdict(setup)}
    file.write_text(json.dumps(content))
    return file


def main() -> None:
    wanted: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    setup = StubSetup(**wanted.pop("setup"))
    begin = join if sys.argv[2:] == ["join"] else run
    try:
        print(begin(Settings.from_dict(wanted), setup, here=True).reason)
    except AutocompressError as error:  # as the command line does
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InvalidInput) else 1)


if __name__ == "__main__":
    main()
