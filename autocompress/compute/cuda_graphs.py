"""A training step as one CUDA graph.

The steps of small students take a GPU less time than launching their few hundred kernels takes the processor; a
graph launches them all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

Step = Callable[..., Tensor]  # from some tensors to a loss


class CapturedStep:
    """`step`, recorded on tensors like `example` and replayed on others of the same shapes; recording computes nothing.

    What the step reads and writes beside them must stay at the same place in memory. Some steps must have run before,
    by `on_side_stream`.
    """

    def __init__(self, step: Step, example: Iterable[Tensor]) -> None:
        self._step = step  # the graph reads and writes what belongs to it
        self._inputs = [tensor.clone() for tensor in example]
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):  # a data loader may use CUDA meanwhile
            self._loss = step(*self._inputs)

    def __call__(self, tensors: Iterable[Tensor]) -> Tensor:
        """Take the step on these; the loss is overwritten by the next call."""
        for place, tensor in zip(self._inputs, tensors, strict=True):
            place.copy_(tensor)
        self._graph.replay()
        return self._loss


def on_side_stream(step: Step, tensors: Iterable[Tensor]) -> Tensor:
    """Take a step as it must be taken before one is captured: what it leaves must not belong to the default stream."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        loss = step(*tensors)
    torch.cuda.current_stream().wait_stream(stream)
    return loss
