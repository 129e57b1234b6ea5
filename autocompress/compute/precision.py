"""How a network is computed: device, number format, memory layout, threads.

A run's config.json has one of these, and is read without torch, which its methods import when they are called.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


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
        import torch

        low = getattr(torch, self.dtype)
        return torch.autocast(self.device, dtype=low, enabled=self.dtype != "float32")

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout of images and weights."""
        import torch

        return torch.channels_last if self.channels_last else torch.contiguous_format

    def place(self, network: nn.Module) -> None:
        """Move a network to the device, into the memory layout."""
        from autocompress.compute.convolution import speed_up_on_gpu

        network.to(self.device)
        if self.device == "cuda":
            speed_up_on_gpu(network)
        for parameter in network.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=self.memory_format)

    def has_room(self, size: int) -> bool:
        """Whether `size` bytes may stay on the device for a whole search: on a GPU, within half of what is free."""
        import torch

        return self.device == "cpu" or size < torch.cuda.mem_get_info()[0] // 2

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        parts = (
            self.dtype,
            "channels-last" if self.channels_last else "",
            f"on {self.device}",
            "with CUDA graphs" if self.graphs else f"with {self.threads} thread{'s' * (self.threads > 1)}",
        )
        return " ".join(part for part in parts if part)


def exact() -> AbstractContextManager[Any]:
    """A context in which convolutions on a GPU use full float32, not TF32: for scores, and for fitting weights."""
    import torch

    context: AbstractContextManager[Any] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return context
