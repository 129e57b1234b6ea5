"""How busy a backend keeps its workers, with trials that only sleep and tell of rungs as real ones do.

    python benchmarks/scale.py --backend local|ray [--seconds 10] [--at-once 8] [--trials 64] [--sampler NAME]
        [--address HOST:PORT]

Prints throughput over the ideal (all workers at work, all the time), from when the last worker has begun until the last
trial is handed out; what comes before is starting up, and is printed for itself. The tuner is the real one, with a
study on disk. Sleeping needs no processor, so many can be at once on few; the rest of each trial is what the backend
and the tuner take.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from autocompress.search import SearchCallback, Settings, search
from autocompress.search.backends.base import Backend
from autocompress.search.backends.processes import ProcessBackend
from autocompress.search.settings import SamplerName
from autocompress.search.stopping import NoStopping
from autocompress.search.trial.messages import Finished, Job, Message, RungReached, Work

RUNGS = (33, 100, 300)


@dataclass(frozen=True)
class Asleep:
    """The setup of trials of so many seconds."""

    seconds: float

    def open(self) -> Work:
        """Ready at once."""
        return self.work

    def work(self, job: Job) -> Iterator[Message]:
        """The dearer the better."""
        quality, began = math.log10(job.candidate.flops), time.time()
        yield RungReached(job.number, 0, quality)
        for rung in RUNGS:
            time.sleep(self.seconds / len(RUNGS))
            if rung < RUNGS[-1]:
                yield RungReached(job.number, rung, quality + rung / 1000)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        facts = {"pid": float(os.getpid()), "began": began, "ended": time.time(), "memory": memory}
        yield Finished(job.number, {"psnr_y": quality + 1, "ssim_y": 1.0}, facts)


class Recorded(Backend):
    """A backend, and what its trials told at their ends."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.told: list[dict[str, float]] = []

    @override
    def free_slots(self) -> int:
        return self.backend.free_slots()

    @override
    def start(self, job: Job) -> None:
        self.backend.start(job)

    @override
    def poll(self, timeout: float) -> list[Message]:
        messages = self.backend.poll(timeout)
        self.told += [message.seconds for message in messages if isinstance(message, Finished)]
        return messages

    @override
    def resume(self, number: int) -> None:
        self.backend.resume(number)

    @override
    def stop(self, number: int) -> None:
        self.backend.stop(number)

    @override
    def close(self) -> None:
        self.backend.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=["local", "ray"], required=True)
    parser.add_argument("--seconds", type=float, default=10.0, help="a trial")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--sampler", choices=list(SamplerName), default=SamplerName.COST_AWARE)
    parser.add_argument("--address", help="of a Ray cluster; without, one on this machine")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            budget_flops=50 * 10**9,
            sampler=options.sampler,
            trials=options.trials,
            workers=options.at_once,
            backend=options.backend,
            address=options.address,
            out=Path(folder, "run"),
        )
        recorded = Recorded(make_backend(settings, Asleep(options.seconds)))
        run, outcome = search(settings, SearchCallback(), backend=recorded, stopping=NoStopping())
        times = run.times[-1]
    print(f"{outcome.reason}, {options.backend}, sampler {options.sampler}")
    report(recorded.told, options.at_once, options.seconds)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"whole          {times.total:.1f} s, opening teacher and images included\n"
        f"asking         {1000 * times.parts['sampling'] / options.trials:.0f} ms a trial\n"
        f"storing        {1000 * times.parts['storing'] / options.trials:.0f} ms a trial\n"
        f"memory         {own:.0f} MiB the search"
    )


def make_backend(settings: Settings, setup: Asleep) -> Backend:
    if settings.ray is None:
        return ProcessBackend(setup, settings.processes)
    from autocompress.search.backends.ray.backend import RayBackend

    return RayBackend(setup, settings.ray, settings.folder)


def report(told: list[dict[str, float]], at_once: int, seconds: float) -> None:
    first: dict[float, float] = {}
    for trial in sorted(told, key=lambda trial: trial["began"]):
        first.setdefault(trial["pid"], trial["began"])
    start = min(first.values())
    begin, end = max(first.values()), max(trial["began"] for trial in told)
    busy = sum(max(0.0, min(end, trial["ended"]) - max(begin, trial["began"])) for trial in told)
    useful = seconds / (slept := sum(trial["ended"] - trial["began"] for trial in told) / len(told))
    memory = [trial["memory"] for trial in told]
    print(
        f"finished       {len(told)} by {len(first)} processes, {at_once} wanted at once\n"
        f"starting up    {begin - start:.1f} s from the first worker's first trial to the last one's\n"
        f"a trial took   {slept:.2f} s with its rungs\n"
        f"throughput     {useful * busy / (end - begin) / at_once:.3f} of the ideal over {end - begin:.1f} s\n"
        f"memory         {max(memory):.0f} MiB the largest worker"
    )


if __name__ == "__main__":
    main()
