"""Which numbers of a user's code are counts: those that change the sizes of its network, or how many parts it has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from autocompress.errors import InvalidInput
from autocompress.networks.base import Count
from autocompress.networks.custom.arguments import Variation, changed
from autocompress.networks.custom.code import Builder
from autocompress.shrink.channels import ChannelMap, Use
from autocompress.shrink.parts import Shapes, kept_parts, source_of

NARROWEST = 4  # channels


def counts(
    code: Builder,
    arguments: Mapping[str, Any],
    known: Mapping[str, Variation],
    channels: ChannelMap,
    used: Collection[str],
    scale: int,
) -> dict[Count, tuple[float, ...]]:
    """The numbers that a search may vary, with values that the code takes, up to the teacher's own.

    A number is one where smaller values give networks that are the same with fewer channels or parts; `known` are those
    to try, by field, `channels` are the teacher's, `used` the parameters in its graph, and `scale` is the factor by
    which all enlarge.
    """
    whole = code.shapes(arguments)
    found: dict[Count, tuple[float, ...]] = {}
    for field, variation in known.items():
        smaller_ones = variation.candidates(arguments)
        given = {smaller: changed(arguments, {field: smaller}, known) for smaller in smaller_ones}
        if not smaller_ones or not _changes(code, given[smaller_ones[len(smaller_ones) // 2]], whole, used):
            continue
        shapes = {smaller: code.tried(own, scale) for smaller, own in given.items()}
        usable = [
            smaller for smaller, own in shapes.items() if own is not None and is_student(own, whole, channels, used)
        ]
        if usable:
            deep = (shapes[usable[0]] or {}).keys() != whole.keys()
            value = variation.number(arguments)
            ratio = isinstance(value, float)
            least = [smaller for smaller in usable if deep or ratio or smaller >= NARROWEST]
            if least:
                what = "parts" if deep else "times the channels" if ratio else "channels"
                found[Count(field, least[0], what, whole=not ratio)] = (*least, value)
    return found


def _changes(code: Builder, arguments: Mapping[str, Any], whole: Shapes, used: Collection[str]) -> bool:
    """Whether arguments change what a network computes with; where the code does not take them, others may."""
    try:
        shapes = code.shapes(arguments)
    except InvalidInput:
        return True
    return any(shapes.get(name) != whole.get(name) for name in used)


def is_student(shapes: Shapes, whole: Shapes, channels: ChannelMap, used: Collection[str]) -> bool:
    """Whether a network of these shapes is the teacher's with fewer channels along its axes, or with fewer parts."""
    if all(shapes.get(name) == whole.get(name) for name in used):
        return False
    sources = kept_parts(whole, shapes)
    if shapes.keys() != whole.keys() and not sources:
        return False
    sizes: dict[int, set[float]] = {}
    several: list[tuple[int, tuple[Use, ...]]] = []  # rows that are gone, of some axes together
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
            elif not sources:
                several.append((theirs - ours, uses))
    for gone, uses in several:
        for use in uses:  # what the others leave is this axis'
            others = [
                (min(sizes[other.axis]), other.rows) for other in uses if other is not use and other.axis in sizes
            ]
            if len(others) == len(uses) - 1:
                left = gone - sum(rows.numel() - size * rows.shape[1] for size, rows in others)
                sizes.setdefault(use.axis, set()).add(len(use.rows) - left / use.rows.shape[1])
    return all(len(found) == 1 and min(found) >= 1 for found in sizes.values())
