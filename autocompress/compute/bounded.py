"""Bounds on what code of others may allocate while it builds a network, of numbers that a file gives.

A file of some kilobytes may give a window of a thousand pixels a side, or a mask for an image of a hundred thousand:
sizes that no parameter shows. What an operation will make is known from the shapes of what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from typing_extensions import override

from autocompress.errors import CheckpointError
from autocompress.units import format_count

LEAST, TIMES = 2**29, 16  # bytes: whatever the weights are, and for each byte of these in float32
MOST_OPERATIONS = 30_000  # published networks take up to 5,000


class TooLarge(CheckpointError):
    """What a file describes takes more memory or time to build than its weights are worth."""


def worth(weights: Mapping[str, Tensor]) -> int:
    """How many bytes it may take to build the network with these weights: most take once to four times their own."""
    return LEAST + TIMES * 4 * sum(value.numel() for value in weights.values())


@contextmanager
def bounded(most: int) -> Iterator[None]:
    """A context in which PyTorch's operations may make tensors of `most` bytes in all, those that are gone included.

    Raises TooLarge at the first operation that would make more, before it does, and after MOST_OPERATIONS. Networks
    without memory (on the device meta), views, and what is written in place take no bytes.
    """
    with _Bounded(most):
        yield


class _Bounded(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, most: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._most, self._made, self._operations = most, 0, 0

    @classmethod
    @override
    def _should_skip_dynamo(cls) -> bool:
        """No: networks are not compiled here, and to be hidden from the compiler imports it, for more than a second."""
        return False

    @override
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self._operations += 1
        if self._operations > MOST_OPERATIONS:
            raise TooLarge(
                f"the network takes more than {MOST_OPERATIONS} operations to build, which is more than its weights "
                "are worth; give the file of a trained network"
            )
        if not (func.is_view or func._schema.is_mutable):
            self._made += _bytes_of(func, args, kwargs)
            if self._made > self._most:
                raise TooLarge(
                    f"the network takes more than {format_count(self._most)}B of memory to build, which is more than "
                    "its weights are worth; give the file of a trained network"
                )
        return func(*args, **kwargs)


def _bytes_of(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """What an operation makes; 0 where it makes no tensors with memory, or where only running it tells."""
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    device = kwargs.get("device")
    if any(tensor.is_meta for tensor in given) or (device is not None and torch.device(device).type == "meta"):
        return 0
    on_meta = {"device": torch.device("meta")} if not given or device is not None else {}
    args, kwargs = tree_map_only(Tensor, _without_memory, (args, kwargs))
    try:
        made = func(*args, **kwargs | on_meta)
    except Exception:  # operations that need values, such as `item`; the real one says what is wrong, if anything is
        return 0
    return sum(leaf.numel() * leaf.element_size() for leaf in tree_leaves(made) if isinstance(leaf, Tensor))


def _without_memory(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
