"""Which networks are students of a teacher: the same with fewer channels, heads and parts, by the shapes alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from autocompress.shrink.channels import ChannelMap
from autocompress.shrink.parts import Shapes, kept_parts, source_of


@dataclass(frozen=True)
class _Dimension:
    """One of a parameter, in a student and in the teacher: their numbers of rows; `place` is the teacher's."""

    place: tuple[str, int]
    ours: int
    theirs: int


def is_student(shapes: Shapes, whole: Shapes, channels: ChannelMap, used: Collection[str]) -> bool:
    """Whether a network of these shapes is the teacher's with fewer channels along its axes, or with fewer parts."""
    if all(shapes.get(name) == whole.get(name) for name in used):
        return False
    sources = kept_parts(whole, shapes)
    if shapes.keys() != whole.keys() and not sources:
        return False
    for name, size in shapes.items():
        source = source_of(name, sources)
        if source not in whole or len(size) != len(whole[source]):
            return False
    dimensions = [each for each in _dimensions(shapes, whole, sources) if each.place[0] in used]
    for each in dimensions:
        varies = channels.uses.get(each.place) or channels.heads_along(each.place) is not None
        if each.ours > each.theirs or (not varies and each.ours != each.theirs):
            return False
    heads = _heads(dimensions, channels)
    return heads is not None and (bool(sources) or _is_one_size(dimensions, channels, heads))


def shares_heads(shapes: Shapes, whole: Shapes, channels: ChannelMap) -> bool:
    """Whether the channels of each attention can be shared out among its heads."""
    return _heads(list(_dimensions(shapes, whole, kept_parts(whole, shapes))), channels) is not None


def only_heads_differ(shapes: Shapes, whole: Shapes, channels: ChannelMap) -> bool:
    """Whether a network of these shapes has fewer heads than the teacher, and all else as it has."""
    differ = [each.place for each in _dimensions(shapes, whole, {}) if each.ours != each.theirs]
    return bool(differ) and all(
        channels.heads_along(place) is not None and not channels.uses.get(place) for place in differ
    )


def _dimensions(shapes: Shapes, whole: Shapes, sources: Mapping[str, str]) -> Iterator[_Dimension]:
    for name, size in shapes.items():
        source = source_of(name, sources)
        for dimension, (ours, theirs) in enumerate(zip(size, whole.get(source, size), strict=True)):
            yield _Dimension((source, dimension), ours, theirs)


def _heads(dimensions: Collection[_Dimension], channels: ChannelMap) -> dict[int, int] | None:
    """How many heads a student's attentions have, by their number in `channels`; as told by a value for each head.

    None where channels are no multiple of that.
    """
    heads: dict[int, int] = {}
    shared: list[tuple[int, int]] = []  # the number of an attention, and of rows that its heads share
    for each in dimensions:
        number = channels.heads_along(each.place)
        if number is not None:
            rows = channels.heads[number].rows[each.place]
            ours = each.ours - each.theirs + rows.numel()
            if rows.shape[1] == 1:
                heads[number] = min(ours, heads.get(number, ours))
            else:
                shared.append((number, ours))
    if any(count < 1 for count in heads.values()) or any(rows % heads.get(number, 1) for number, rows in shared):
        return None
    return heads


def _is_one_size(dimensions: Collection[_Dimension], channels: ChannelMap, heads: Mapping[int, int]) -> bool:
    """Whether each axis has the same size wherever it runs."""
    sizes: dict[int, set[Fraction]] = {}
    several = []  # rows that are gone, of some axes together
    for dimension in dimensions:
        uses, number = channels.uses.get(dimension.place, ()), channels.heads_along(dimension.place)
        whole = 1 if number is None else channels.heads[number].count
        share = Fraction(1) if number is None else Fraction(heads.get(number, whole), whole)
        rows = {use.axis: use.rows.shape[1] * share for use in uses}  # of each channel, now that there are fewer heads
        counts = {use.axis: len(use.rows) for use in uses}
        gone = dimension.theirs - dimension.ours - sum(use.rows.numel() * (1 - share) for use in uses)
        if len(uses) == 1:
            ((axis, each),) = rows.items()
            sizes.setdefault(axis, set()).add(counts[axis] - gone / each)
        else:
            several.append((gone, rows, counts))
    for gone, rows, counts in several:
        for axis in rows:  # what the others leave is this axis'
            others = [
                (counts[other] - min(sizes[other])) * rows[other] for other in rows if other != axis and other in sizes
            ]
            if len(others) == len(rows) - 1:
                sizes.setdefault(axis, set()).add(counts[axis] - (gone - sum(others)) / rows[axis])
    return all(len(found) == 1 and min(found) >= 1 for found in sizes.values())
