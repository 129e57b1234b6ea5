"""Which arguments of a user's code are counts: those that change the sizes of its network, or how many parts it has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from autocompress.networks.base import Count
from autocompress.networks.custom.code import Builder
from autocompress.shrink.channels import ChannelMap
from autocompress.shrink.parts import Shapes, kept_parts, source_of

MOST_VALUES = 16  # of one argument, in a space that is derived
NARROWEST = 4  # channels


def counts(
    code: Builder, arguments: Mapping[str, Any], channels: ChannelMap, used: Collection[str], scale: int
) -> dict[Count, tuple[int, ...]]:
    """The arguments that a search may vary, with values that the code takes, up to the teacher's own.

    An argument is one where smaller values give networks that are the same with fewer channels or parts; `channels` are
    the teacher's, `used` the parameters in its graph, and `scale` is the factor by which all enlarge.
    """
    whole = code.shapes(arguments)
    found = {}
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 2:
            continue
        shapes = {smaller: code.tried({**arguments, name: smaller}, scale) for smaller in candidates(value)}
        usable = [
            smaller for smaller, own in shapes.items() if own is not None and is_student(own, whole, channels, used)
        ]
        if usable:
            deep = code.shapes({**arguments, name: usable[0]}).keys() != whole.keys()
            least = [smaller for smaller in usable if deep or smaller >= NARROWEST]
            if least:
                found[Count(name, least[0], "parts" if deep else "channels")] = (*least, value)
    return found


def candidates(value: int) -> list[int]:
    """Smaller values, evenly, in steps that are easy to read."""
    step = next(step for step in (1, 2, 4, 8, 16, 32, 64, 128, value) if value // step <= MOST_VALUES)
    return list(range(step, value, step))


def is_student(shapes: Shapes, whole: Shapes, channels: ChannelMap, used: Collection[str]) -> bool:
    """Whether a network of these shapes is the teacher's with fewer channels along its axes, or with fewer parts."""
    if all(shapes.get(name) == whole.get(name) for name in used):
        return False
    sources = kept_parts(whole, shapes)
    if shapes.keys() != whole.keys() and not sources:
        return False
    sizes: dict[int, set[float]] = {}
    for name, size in shapes.items():
        source = source_of(name, sources)
        if source not in whole or len(size) != len(whole[source]):
            return False
        if source not in used:  # what is computed of others
            continue
        for dimension, (ours, theirs) in enumerate(zip(size, whole[source], strict=True)):
            uses = channels.uses.get((source, dimension), ())
            if ours > theirs or (not uses and ours != theirs):
                return False
            if len(uses) == 1 and not sources:
                rows = uses[0].rows
                sizes.setdefault(uses[0].axis, set()).add((ours - theirs + rows.numel()) / rows.shape[1])
    return all(len(found) == 1 and min(found) >= 1 for found in sizes.values())
