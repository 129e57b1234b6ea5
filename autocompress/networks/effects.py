"""What the counts of a family do to its networks: found by making each the smallest, on shapes alone."""

from __future__ import annotations

from dataclasses import dataclass

from autocompress.errors import ConfigError
from autocompress.networks.base import Config, Count, Family
from autocompress.shrink.parts import kept_parts, level_of


@dataclass(frozen=True)
class Effect:
    """What becomes of a teacher where one count is the smallest.

    `fewer` are the prefixes of repeated parts that are fewer then, as `shrink.parts` names them, and `smaller` the
    names of parameters and buffers with another shape.
    """

    fewer: frozenset[str]
    smaller: frozenset[str]


def effects(family: Family, teacher: Config) -> dict[Count, Effect]:
    """Of the counts of a teacher.

    Those that a space may leave out are not among them, nor those that cannot be the smallest beside the teacher's
    others, such as channels of which there would be fewer than heads.
    """
    whole, found = family.shapes(teacher), dict[Count, Effect]()
    for count in family.counts:
        if not count.optional:
            values = family.values_of(count)
            least = count.low if values is None else values[0]
            try:
                shapes = family.shapes(family.student_config(teacher, {count.field: least}))
            except ConfigError:
                continue
            fewer = frozenset(map(level_of, kept_parts(whole, shapes)))
            found[count] = Effect(fewer, frozenset(name for name in shapes if whole.get(name) != shapes[name]))
    return found


def varying_parts(family: Family, teacher: Config) -> frozenset[str]:
    """The prefixes of the repeated parts of which students may have fewer, such as `body.` of `body.0`, `body.1`."""
    return frozenset(prefix for effect in effects(family, teacher).values() for prefix in effect.fewer)
