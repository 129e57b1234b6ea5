"""How a network is computed on the machine at hand: device, number format, memory layout, threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from autocompress.compute.convolution import conv3x3, speed_up_on_gpu
from autocompress.compute.cuda_graphs import CapturedStep, on_side_stream

PROBE_STEPS = 4
# how many times as fast another precision must be: less may be the noise of a busy machine; a GPU's kernels vary less,
# and networks larger than the probe gain more (benchmarks/RESULTS.md)
WORTH_IT = {"cpu": 1.3, "cuda": 1.1}


@dataclass(frozen=True)
class Precision:
    """How networks are trained: on which device, in which number format and memory layout, with how many threads.

    `dtype` is the format of convolutions while training; scores are always computed in float32. With `graphs`, a
    training step is recorded once as a CUDA graph and replayed. `threads` is the number for one process.
    """

    device: str = "cpu"
    dtype: str = "float32"
    channels_last: bool = False
    graphs: bool = False
    threads: int = 1

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which training runs its forward passes."""
        low = getattr(torch, self.dtype)
        return torch.autocast(self.device, dtype=low, enabled=self.dtype != "float32")

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout of images and weights."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def place(self, network: nn.Module) -> None:
        """Move a network to the device, into the memory layout."""
        network.to(self.device)
        if self.device == "cuda":
            speed_up_on_gpu(network)
        for parameter in network.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=self.memory_format)

    def has_room(self, size: int) -> bool:
        """Whether `size` bytes may stay on the device for a whole search: on a GPU, within half of what is free."""
        return self.device == "cpu" or size < torch.cuda.mem_get_info()[0] // 2

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        parts = (
            self.dtype,
            "channels-last" if self.channels_last else "",
            f"on {self.device}",
            "with CUDA graphs" if self.graphs else f"with {self.threads} threads",
        )
        return " ".join(part for part in parts if part)


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


def exact() -> AbstractContextManager[Any]:
    """A context in which convolutions on a GPU use full float32, not TF32: for scores, and for fitting weights."""
    context: AbstractContextManager[Any] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return context


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
