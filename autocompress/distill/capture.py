"""A training step as one CUDA graph.

The steps of small students take a GPU less time than launching their few hundred kernels takes the processor; a
graph launches them all at once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autocompress.data.patches import Batch

Step = Callable[[Batch], Tensor]


class CapturedStep:
    """`step`, recorded on a batch like `example` and replayed on others of the same shapes; recording computes nothing.

    What the step reads and writes beside the batch must stay at the same place in memory. Some steps must have run
    before, by `on_side_stream`.
    """

    def __init__(self, step: Step, example: Batch) -> None:
        self._batch = Batch(example.lr.clone(), {name: target.clone() for name, target in example.targets.items()})
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._loss = step(self._batch)

    def __call__(self, batch: Batch) -> Tensor:
        """Take the step on this batch; the loss is overwritten by the next call."""
        self._batch.lr.copy_(batch.lr)
        for name, target in batch.targets.items():
            self._batch.targets[name].copy_(target)
        self._graph.replay()
        return self._loss


def on_side_stream(step: Step, batch: Batch) -> Tensor:
    """Take a step as it must be taken before one is captured: what it leaves must not belong to the default stream."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        loss = step(batch)
    torch.cuda.current_stream().wait_stream(stream)
    return loss
