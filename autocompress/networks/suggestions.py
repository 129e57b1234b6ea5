"""The counts of a student that the densities of its pruned teacher's layers suggest, for any family: see
`shrink.density` for the rules."""

from __future__ import annotations

from collections.abc import Mapping

from autocompress.errors import ConfigError
from autocompress.networks.base import Config, Count, Family
from autocompress.networks.effects import effects
from autocompress.shrink.density import Densities, channels, joined, kept, within
from autocompress.shrink.parts import Parts, is_within, repeated_parts


def suggested_counts(family: Family, teacher: Config, layers: Densities) -> dict[str, float]:
    """What the densities of a teacher's layers, by module path, suggest for each of its counts.

    A count of parts becomes that of the parts that are not negligible; one of channels goes by the density of the
    layers that get smaller with it, in the parts that stay, or, where it has none there, of all that stay. Counts that
    `effects` does not have keep the teacher's value.
    """
    counts, found = family.counts_of(teacher), effects(family, teacher)
    prefixes = {prefix for effect in found.values() for prefix in effect.fewer}
    kinds = {parts.prefix: parts for parts in repeated_parts(family.shapes(teacher)) if parts.prefix in prefixes}
    staying = {prefix: _staying(parts, layers) for prefix, parts in kinds.items()}
    inside = {path for prefix, parts in kinds.items() for index in staying[prefix] for path in parts.paths(index)}
    gone = {path for parts in kinds.values() for index in range(len(parts.units)) for path in parts.paths(index)}
    gone -= inside
    for count, effect in found.items():
        value = counts[count.field]
        smaller = [layer for layer in layers if f"{layer}.weight" in effect.smaller]
        if effect.fewer:
            value *= sum(len(staying[prefix]) for prefix in effect.fewer)
            value /= sum(len(kinds[prefix].units) for prefix in effect.fewer)
        elif smaller:
            left = [layer for layer in smaller if not any(is_within(layer, path) for path in gone)]
            of_parts = [layer for layer in left if any(is_within(layer, path) for path in inside)]
            value = channels(value, joined(layers[layer] for layer in of_parts or left or smaller))
        counts[count.field] = _nearest(family, count, value)
    return _taken(family, teacher, counts)


def _staying(parts: Parts, layers: Densities) -> list[int]:
    """The parts that are not negligible; all, where one has no layer."""
    densities = [within(layers, *parts.paths(index)) for index in range(len(parts.units))]
    return kept(densities) if all(densities) else list(range(len(parts.units)))


def _nearest(family: Family, count: Count, value: float) -> float:
    """The value that its networks have, or the whole number, next to this one."""
    values = family.values_of(count)
    if values is not None:
        return min(values, key=lambda each: abs(each - value))
    return max(count.low, round(value) if count.whole else value)


def _taken(family: Family, teacher: Config, wanted: Mapping[str, float]) -> dict[str, float]:
    """The wanted counts; where no network has all of these together, the next larger ones that one has.

    For example where one number of channels must be above another. They go down one after the other from the
    teacher's, and once more for each count, since one may go further when others have.
    """
    if _has(family, teacher, wanted):
        return dict(wanted)
    counts = family.counts_of(teacher)
    for _ in wanted:
        for count in family.counts:
            name, values = count.field, family.values_of(count) or (wanted[count.field],)
            smaller = (value for value in values if wanted[name] <= value <= counts[name])
            taken = (value for value in smaller if _has(family, teacher, counts | {name: value}))
            counts[name] = next(taken, counts[name])
    return counts


def _has(family: Family, teacher: Config, counts: Mapping[str, float]) -> bool:
    try:
        family.student_config(teacher, counts)
    except ConfigError:
        return False
    return True
