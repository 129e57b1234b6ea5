"""What takes pixels from elsewhere by a rule of its own, on classes of channels: patches, and lookups by an index."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from autocompress.shrink.classes import Classes


def unfolded(x: Tensor, size: Sequence[int], classes: Classes) -> Tensor:
    """Patches (B, C * k^2, L) of an image (B, C, H, W), where padding is of no channel."""
    channels = classes.of_channels(x, 1)
    return channels.repeat_interleave(size[1] // len(channels)).view(1, -1, 1).expand(tuple(size))


def gathered(x: Tensor, dimension: int, index: Tensor) -> Tensor | None:
    """What `gather` takes along a dimension, as of pixels in another order.

    None where channels differ along that dimension, or are not all looked up at the same places: `index` is repeated
    over their dimension without memory then (its stride is 0).
    """
    first = x.narrow(dimension, 0, 1)
    varies = [other for other in range(x.dim()) if other != dimension and bool((x != x.narrow(other, 0, 1)).any())]
    if not (x == first).all() or any(index.stride(other) != 0 for other in varies):
        return None
    whole = tuple(slice(0, size) for size in index.shape)
    return first[whole].expand(tuple(index.shape))
