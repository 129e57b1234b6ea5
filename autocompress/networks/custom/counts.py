"""Which numbers of a user's code are counts: those that change the sizes of its network, or how many parts it has."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from autocompress.errors import InvalidInput
from autocompress.networks.base import Count
from autocompress.networks.custom.arguments import Variation, candidates, changed
from autocompress.networks.custom.code import Builder
from autocompress.networks.custom.students import is_student, only_heads_differ
from autocompress.shrink.channels import ChannelMap
from autocompress.shrink.parts import Shapes

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
        smaller_ones = _tried(variation, arguments, channels)
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
            heads = not deep and only_heads_differ(shapes[usable[0]] or {}, whole, channels)
            least = [smaller for smaller in usable if deep or ratio or heads or smaller >= NARROWEST]
            if least:
                what = "parts" if deep else "times the channels" if ratio else "heads" if heads else "channels"
                found[Count(field, least[0], what, whole=not ratio)] = (*least, value)
    return found


def _tried(variation: Variation, arguments: Mapping[str, Any], channels: ChannelMap) -> Sequence[Any]:
    """Smaller numbers to try: multiples of the number of heads, where channels are shared out among them."""
    value, heads = variation.number(arguments), math.lcm(*(attention.count for attention in channels.heads))
    if heads == 1 or not isinstance(value, int) or value % heads or value == heads:
        return variation.candidates(arguments)
    return [heads * count for count in candidates(value // heads)]


def _changes(code: Builder, arguments: Mapping[str, Any], whole: Shapes, used: Collection[str]) -> bool:
    """Whether arguments change what a network computes with; where the code does not take them, others may."""
    try:
        shapes = code.shapes(arguments)
    except InvalidInput:
        return True
    return any(shapes.get(name) != whole.get(name) for name in used)
