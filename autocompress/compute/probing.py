"""Which precision is the fastest on the machine at hand: found by trying."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from autocompress.compute.convolution import conv3x3
from autocompress.compute.cuda_graphs import CapturedStep, on_side_stream
from autocompress.compute.precision import Precision
from autocompress.progress import OnDone, one_by_one, untold

PROBE_STEPS = 4
# how many times as fast another precision must be: less may be the noise of a busy machine; a GPU's kernels vary less,
# and networks larger than the probe gain more (benchmarks/RESULTS.md)
WORTH_IT = {"cpu": 1.3, "cuda": 1.1}
# Images of a step. A processor that emulates bf16 takes ten times as long for any number of them, so one already tells:
# steps HOPELESS times as long as the slowest of the other precision end the probe. On a GPU the first steps choose
# kernels, and none takes long.
IMAGES = {"cpu": (1, 8), "cuda": (8,)}
HOPELESS = {"cpu": 4.0, "cuda": math.inf}


_chosen = dict[tuple[str, int], Precision]()  # by the device and the number of threads


def choose(report: OnDone = untold) -> Precision:
    """The fastest precision here, which is probed once in a process; `report` is told of a probe: see `probe`."""
    here = "cuda" if torch.cuda.is_available() else "cpu", torch.get_num_threads()
    if here not in _chosen:
        _chosen[here] = probe(report)
    return _chosen[here]


def probe(report: OnDone = untold) -> Precision:
    """Probe which precision is the fastest here, by steps of a small network: with CUDA graphs or not, bf16 or fp32.

    On an x86 CPU with AMX bf16 is several times faster; on one without it, it is emulated and slower. On a GPU the
    steps of small students are bound by the launches of their kernels, which graphs do away with
    (benchmarks/step_speed.py measures both). `report` is told how many steps are done, of at most how
    many.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    best = Precision(device, channels_last=True, threads=torch.get_num_threads())
    changes: list[dict[str, Any]] = [{"graphs": True}] if device == "cuda" else []
    changes.append({"dtype": "bfloat16"})
    on_step = one_by_one(report, 2 * PROBE_STEPS * len(IMAGES[device]) * len(changes))
    for change in changes:
        other = replace(best, **change)
        if all(_is_faster(other, best, images, on_step) for images in IMAGES[device]):
            best = other
    return best


def _is_faster(other: Precision, best: Precision, images: int, on_step: Callable[[], object]) -> bool:
    """Whether steps on so many images are worth another precision; on less than the most, whether they may be."""
    seconds = _probe(best, images, on_step)
    limit = HOPELESS[best.device] * max(seconds)
    others = min(_probe(other, images, on_step, limit))
    return others <= limit if images < max(IMAGES[best.device]) else others * WORTH_IT[best.device] < min(seconds)


def _probe(precision: Precision, images: int, on_step: Callable[[], object], limit: float = math.inf) -> list[float]:
    """Seconds of each of a few forward and backward passes of a small body of convolutions on so many images.

    One that takes longer than `limit` is the last, unless it is the first, in which kernels are made.
    """
    with torch.random.fork_rng(devices=[]):
        body = nn.Sequential(*(conv3x3(32, 32) for _ in range(8)))
    precision.place(body)
    batch = torch.zeros(images, 32, 48, 48, device=precision.device).to(memory_format=precision.memory_format)

    def step(batch: Tensor) -> Tensor:
        with precision.autocast():
            loss: Tensor = body(batch).float().mean()
        torch.autograd.backward(loss)
        return loss.detach()

    if not precision.graphs:
        return _timed(lambda: step(batch), precision, on_step, limit)
    for _ in range(2):
        on_side_stream(step, [batch])
    captured = CapturedStep(step, [batch])
    return _timed(lambda: captured([batch]), precision, on_step, limit)


def _timed(
    work: Callable[[], object], precision: Precision, on_step: Callable[[], object], limit: float
) -> list[float]:
    seconds = list[float]()
    while len(seconds) < PROBE_STEPS and max(seconds[1:], default=0.0) <= limit:
        start = time.perf_counter()
        work()
        if precision.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        on_step()
    return seconds
