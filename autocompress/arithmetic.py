"""How a network is computed on the machine at hand: device, number format, memory layout, threads."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

PROBE_STEPS = 4
WORTH_IT = 1.3  # how many times as fast bf16 must be: less may be the noise of a busy machine


@dataclass(frozen=True)
class Arithmetic:
    """`dtype` is what convolutions are computed in while training; scores are always computed in float32.

    `graphs`: a training step is recorded once as a CUDA graph and replayed. `threads` are those of one process.
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
        """Of images and weights."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def place(self, network: nn.Module) -> None:
        """Move a network to the device, into the memory layout."""
        network.to(self.device)
        for parameter in network.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=self.memory_format)

    def has_room(self, size: int) -> bool:
        """Whether `size` bytes can be kept on the device for a whole search: on a GPU, in half of what is free."""
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


def choose() -> Arithmetic:
    """The fastest arithmetic here: bf16 in channels-last where a short probe shows that it pays, else fp32.

    On an x86 CPU with AMX bf16 is several times faster; on one without it, it is emulated and slower. On a GPU the
    steps of small students are bound by the launches of their kernels, so they are replayed as CUDA graphs
    (benchmarks/step_speed.py measures both).
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    exact, low = (
        Arithmetic(device, dtype, channels_last=True, graphs=device == "cuda", threads=torch.get_num_threads())
        for dtype in ("float32", "bfloat16")
    )
    return low if _probe(low) * WORTH_IT < _probe(exact) else exact


def exact() -> AbstractContextManager[Any]:
    """In this context convolutions on a GPU are float32 in full, not TF32: for scores, and for fitting weights."""
    context: AbstractContextManager[Any] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return context


def _probe(arithmetic: Arithmetic) -> float:
    """Seconds of the fastest of a few forward and backward passes of a small body of convolutions."""
    with torch.random.fork_rng(devices=[]):
        body = nn.Sequential(*(nn.Conv2d(32, 32, 3, padding=1) for _ in range(4)))
    arithmetic.place(body)
    images = torch.zeros(8, 32, 48, 48, device=arithmetic.device).to(memory_format=arithmetic.memory_format)
    return min(_timed_step(arithmetic, body, images) for _ in range(PROBE_STEPS))


def _timed_step(arithmetic: Arithmetic, network: nn.Module, images: Tensor) -> float:
    start = time.perf_counter()
    with arithmetic.autocast():
        loss: Tensor = network(images).float().mean()
    torch.autograd.backward(loss)
    if arithmetic.device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
