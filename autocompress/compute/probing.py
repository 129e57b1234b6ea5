"""Which precision is the fastest on the machine at hand: found by trying."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from autocompress.compute.convolution import conv3x3
from autocompress.compute.cuda_graphs import CapturedStep, on_side_stream
from autocompress.compute.precision import Precision

PROBE_STEPS = 4
# how many times as fast another precision must be: less may be the noise of a busy machine; a GPU's kernels vary less,
# and networks larger than the probe gain more (benchmarks/RESULTS.md)
WORTH_IT = {"cpu": 1.3, "cuda": 1.1}


def choose() -> Precision:
    """Probe which precision is the fastest here, by steps of a small network: with CUDA graphs or not, bf16 or fp32.

    On an x86 CPU with AMX bf16 is several times faster; on one without it, it is emulated and slower. On a GPU the
    steps of small students are bound by the launches of their kernels, which graphs do away with
    (benchmarks/step_speed.py measures both).
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    best = Precision(device, channels_last=True, threads=torch.get_num_threads())
    changes: tuple[dict[str, Any], ...] = ({"graphs": True}, {"dtype": "bfloat16"})
    for change in changes:
        other = replace(best, **change)
        if (device == "cuda" or not other.graphs) and _probe(other) * WORTH_IT[device] < _probe(best):
            best = other
    return best


def _probe(precision: Precision) -> float:
    """Seconds of the fastest of a few forward and backward passes of a small body of convolutions."""
    with torch.random.fork_rng(devices=[]):
        body = nn.Sequential(*(conv3x3(32, 32) for _ in range(8)))
    precision.place(body)
    images = torch.zeros(8, 32, 48, 48, device=precision.device).to(memory_format=precision.memory_format)

    def step(images: Tensor) -> Tensor:
        with precision.autocast():
            loss: Tensor = body(images).float().mean()
        torch.autograd.backward(loss)
        return loss.detach()

    if not precision.graphs:
        return min(_seconds(lambda: step(images), precision) for _ in range(PROBE_STEPS))
    for _ in range(2):
        on_side_stream(step, [images])
    captured = CapturedStep(step, [images])
    return min(_seconds(lambda: captured([images]), precision) for _ in range(PROBE_STEPS))


def _seconds(work: Callable[[], object], precision: Precision) -> float:
    start = time.perf_counter()
    work()
    if precision.device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
