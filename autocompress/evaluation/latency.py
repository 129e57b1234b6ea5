"""How long a network takes on this machine, and how much memory: one image at a time, for an output of 1280x720.

FLOPs say how much is computed, not how fast: a narrow network takes longer per FLOP than a wide one
(benchmarks/latency.py measures how much).
"""

from __future__ import annotations

import math
import multiprocessing
import platform
import re
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from autocompress.compute.precision import exact
from autocompress.compute.runtimes import RUNTIMES
from autocompress.errors import AutocompressError, InvalidInput
from autocompress.evaluation.records import Latency, Machine
from autocompress.export.extras import is_here
from autocompress.export.onnx_files import write_onnx
from autocompress.networks import family_of
from autocompress.networks.base import Config, Family, SRNetwork

OUTPUT = (1280, 720)
LIMIT = 10.0  # seconds after which timing ends even if the runs do not agree yet
WARM_UP = 2  # runs that are not timed
WARM_UP_LIMIT = 5.0  # seconds: a first run that takes longer is timed, as warming up is a small share of it
ENOUGH = 7  # runs after which timing ends if they agree
STABLE = 0.01  # they agree if the uncertainty of the median, as a share of it, is at most this
SMALL = 64  # pixels a side of the image for a first run, before memory is measured
LINUX = Path("/proc/self")

Run = Callable[[], object]
Make = Callable[[int, int], Run]  # what runs a network once, on an image of this height and width


def this_machine(threads: int | None = None, device: str | None = None) -> Machine:
    """This machine: the given `device`, by default a GPU if it has one; by default PyTorch's number of threads.

    Raises InvalidInput for a GPU that is not there.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device not in ("cpu", "cuda"):
        raise InvalidInput(f"device is {device!r}, but must be cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InvalidInput("device is cuda, but PyTorch sees no GPU here; give cpu")
    if threads is not None and threads < 1:
        raise InvalidInput(f"threads is {threads}, but must be >= 1")
    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    return Machine(name, device, threads or torch.get_num_threads())


def measure(
    network: SRNetwork,
    machine: Machine,
    limit: float = LIMIT,
    *,
    on_failure: Callable[[str], None],
    on_runtime: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, Latency]:
    """Measure a network with each runtime: in float32, the whole image at once, each runtime in a process of its own.

    The runtimes are PyTorch, and ONNX Runtime if it is installed, which always runs on the processor. A network's time
    depends on its config alone, so random weights are measured. If one runtime fails, for example for want of memory,
    `on_failure` is called with the reason; AutocompressError if all fail. `on_runtime` is told the name of each runtime
    as it begins, the how many-th that is, and of how many.
    """
    job = _Job(family_of(network), network.config, machine, limit)
    ways: dict[str, Callable[[], Latency]] = {"pytorch": lambda: _apart(job)}
    if is_here("onnx"):
        ways["onnx"] = lambda: _as_onnx(network, job)
    latencies, failed = dict[str, Latency](), dict[str, AutocompressError]()
    for number, (runtime, way) in enumerate(ways.items(), 1):
        on_runtime(RUNTIMES[runtime].name, number, len(ways))
        try:
            latencies[runtime] = way()
        except AutocompressError as error:
            failed[runtime] = error
    if not latencies:
        raise next(iter(failed.values()))
    for runtime, reason in failed.items():
        on_failure(f"not measured with {runtime}: {reason}")
    return latencies


def _as_onnx(network: SRNetwork, job: _Job) -> Latency:
    on_gpu = job.machine.device != "cpu"
    processor = this_machine(job.machine.threads, "cpu") if on_gpu else job.machine
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "network.onnx")
        write_onnx(network, file)
        return _apart(replace(job, machine=processor, file=file))


def timed(network: SRNetwork, machine: Machine, limit: float = LIMIT) -> Latency:
    """Measure a network with PyTorch in this process; its peak memory is not known then."""
    threads = torch.get_num_threads()
    torch.set_num_threads(machine.threads)
    try:
        return _timed(_in_pytorch(network, machine), network.scale, ("pytorch", torch.__version__), machine, limit)
    finally:
        torch.set_num_threads(threads)


def repeated(run: Run, limit: float) -> list[float]:
    """Seconds of each run after a warm-up, until their median is known well enough, or for `limit` seconds."""
    start = time.perf_counter()
    for _ in range(WARM_UP):
        run()
        if time.perf_counter() - start > WARM_UP_LIMIT:
            break
    start, seconds = time.perf_counter(), list[float]()
    while not seconds or (time.perf_counter() - start < limit and not _agree(seconds)):
        before = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - before)
    return seconds


def _agree(seconds: list[float]) -> bool:
    """Whether the median is known well enough: its standard error is about (distance of quartiles) / sqrt(runs)."""
    lower, median, upper = np.percentile(seconds, [25, 50, 75])
    return len(seconds) >= ENOUGH and bool(upper - lower < STABLE * median * math.sqrt(len(seconds)))


@dataclass(frozen=True)
class _Job:
    """A measurement in a process of its own: with ONNX Runtime if the network's ONNX `file` is given, else PyTorch."""

    family: Family
    config: Config
    machine: Machine
    limit: float
    file: Path | None = None


def _apart(job: _Job) -> Latency:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        try:
            return process.submit(_work, job).result()
        except BrokenProcessPool:
            raise AutocompressError(
                f"the process that measured {job.config} ended early, as where a system runs out of memory; free some "
                "memory, and give the same command again"
            ) from None


def _work(job: _Job) -> Latency:
    torch.set_num_threads(job.machine.threads)
    make, version = _in_onnx_runtime(job) if job.file is not None else _in_pytorch_anew(job)
    make(SMALL, SMALL)()  # what a runtime allocates at its first run does not belong to the network
    memory = _Memory(job.machine.device)
    latency = _timed(make, job.config.scale, version, job.machine, job.limit)
    return replace(latency, peak_memory=memory.peak())


def _timed(make: Make, scale: int, version: tuple[str, str], machine: Machine, limit: float) -> Latency:
    width, height = (math.ceil(side / scale) for side in OUTPUT)
    seconds = repeated(make(height, width), limit)
    lower, median, upper = (1000 * float(value) for value in np.percentile(seconds, [25, 50, 75]))
    return Latency(*version, machine, width, height, len(seconds), median, (lower, upper))


def _in_pytorch_anew(job: _Job) -> tuple[Make, tuple[str, str]]:
    network = job.family.build(job.config)
    return _in_pytorch(network, job.machine), ("pytorch", torch.__version__)


def _in_pytorch(network: SRNetwork, machine: Machine) -> Make:
    """The network as `network_upscaler` runs it, without the conversions from and to 8 bits."""
    network = network.to(machine.device).eval()

    def make(height: int, width: int) -> Run:
        lr = torch.rand(1, 3, height, width, device=machine.device).contiguous(memory_format=torch.channels_last)

        def run() -> None:
            with torch.inference_mode(), exact():
                network(lr)
            if machine.device == "cuda":
                torch.cuda.synchronize()

        return run

    return make


def _in_onnx_runtime(job: _Job) -> tuple[Make, tuple[str, str]]:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = job.machine.threads, 1
    session = onnxruntime.InferenceSession(str(job.file), settings, providers=["CPUExecutionProvider"])

    def make(height: int, width: int) -> Run:
        lr = np.random.default_rng(0).random((1, 3, height, width), np.float32)
        return lambda: session.run(None, {session.get_inputs()[0].name: lr})

    return make, ("onnx", onnxruntime.__version__)


class _Memory:
    """The peak memory of this process from now on: on a GPU, of what PyTorch has reserved there.

    On Linux the peak so far can be reset. `getrusage` does not help: a process starts with its parent's peak.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        elif LINUX.is_dir():
            with suppress(OSError):  # a sandbox may forbid the reset; the peak since the process began is reported then
                Path(LINUX, "clear_refs").write_text("5")
        self._before = self._now() or 0

    def peak(self) -> int | None:
        """Bytes above what was in use at the start; None if the system does not tell."""
        now = self._now()
        return None if now is None else max(0, now - self._before)

    def _now(self) -> int | None:
        if self._device == "cuda":
            return torch.cuda.max_memory_allocated()
        if not LINUX.is_dir():
            return None
        peak = re.search(r"VmHWM:\s*(\d+) kB", Path(LINUX, "status").read_text())
        return int(peak[1]) * 1024 if peak else None


def _processor() -> str:
    """The processor's name as Linux gives it, else as Python's `platform` does."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.is_file() else None
    return model[1].strip() if model else platform.processor() or platform.machine()
