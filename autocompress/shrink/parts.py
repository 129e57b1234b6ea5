"""Repeated parts of a network: modules with the same parameters whose names differ in a number, as `body.3` does."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import fx

from autocompress.shrink.graph import Graph, module_path, operation, shape

MOST_IN_A_PART = 4  # modules of a sequence that repeat together

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Parts:
    """What repeats under one prefix of parameters' names: `block_` with 1 to 6, or `body.` with 0 to 15.

    Each of `units` are the numbers of the modules that make up one part: one, or in a flat sequence of convolutions
    and activations two. `last` is the largest number there is.
    """

    prefix: str
    units: tuple[tuple[int, ...], ...]
    last: int

    def paths(self, index: int) -> list[str]:
        """The module paths of one part."""
        return [f"{self.prefix}{number}" for number in self.units[index]]

    def is_inside(self, others: Parts, index: int | None = None) -> bool:
        """Whether these are inside of one of some others, or of that with this index."""
        units = others.units if index is None else others.units[index : index + 1]
        return any(self.prefix.startswith(f"{others.prefix}{number}.") for unit in units for number in unit)

    def index(self, source: str) -> int | None:
        """Which part this prefix of parameters' names belongs to, such as `body.3.`; None for no part."""
        match = re.fullmatch(rf"{re.escape(self.prefix)}(\d+)\.", source)
        found = [index for index, unit in enumerate(self.units) if match is not None and int(match[1]) in unit]
        return found[0] if found else None


def repeated_parts(shapes: Shapes) -> list[Parts]:
    """All that repeat among parameters' names, the outermost first."""
    inside: dict[str, dict[int, list[tuple[str, tuple[int, ...]]]]] = {}
    for name, shape_ in shapes.items():
        for match in re.finditer(r"\d+(?=\.)", name):
            modules = inside.setdefault(name[: match.start()], {})
            modules.setdefault(int(match[0]), []).append((name[match.end() :], shape_))
    parts = []
    for prefix, modules in inside.items():
        numbers = range(min(modules), max(modules) + 1)  # some have no parameters: activations
        units = _units([sorted(modules.get(number, [])) for number in numbers], numbers[0])
        if len(units) > 1:
            parts.append(Parts(prefix, units, numbers[-1]))
    return sorted(parts, key=lambda part: part.prefix.count("."))


def _units(modules: Sequence[Sequence[object]], first: int) -> tuple[tuple[int, ...], ...]:
    """The longest run of modules that repeats, in units of as few modules as may be; without it nothing."""
    best: tuple[tuple[int, ...], ...] = ()
    for period in range(1, MOST_IN_A_PART + 1):
        start = 0
        while start + 2 * period <= len(modules):
            count = 1
            while modules[start : start + period] == modules[start + count * period : start + (count + 1) * period]:
                count += 1
            if (
                count > 1
                and any(modules[start : start + period])
                and count * period > len(best) * (len(best[0]) if best else 0)
            ):
                numbers = range(first + start, first + start + count * period, period)
                best = tuple(tuple(range(number, number + period)) for number in numbers)
            start += max(1, (count - 1) * period)
    return best


Choice = Callable[[Parts, str, int], Sequence[int]]
"""Which of a teacher's parts stay, in ascending order: of those, under the student's prefix, and how many."""


def first_ones(parts: Parts, prefix: str, count: int) -> Sequence[int]:
    """The choice where nothing is known of them."""
    return range(count)


def kept_parts(teacher: Shapes, student: Shapes, choose: Choice = first_ones) -> dict[str, str]:
    """The teacher's modules that a student's come from, where it has fewer parts: by prefixes of parameters' names.

    What follows the parts in a sequence moves up.
    """
    sources: dict[str, str] = {}
    for parts in repeated_parts(teacher):
        ours_prefix = _of_student(parts.prefix, sources)
        if ours_prefix is None:
            continue
        prefix, each = parts.prefix, len(parts.units[0])
        numbers = {int(m[1]) for name in student if (m := re.match(rf"{re.escape(ours_prefix)}(\d+)\.", name))}
        gone = parts.last - max(numbers, default=parts.last)
        if gone == 0 or gone % each:
            continue
        count = len(parts.units) - gone // each
        chosen = choose(parts, ours_prefix, count)
        ours = [number for unit in parts.units[:count] for number in unit]
        theirs = [number for index in chosen for number in parts.units[index]]
        behind = range(parts.units[-1][-1] + 1, parts.last + 1)
        ours += [number - gone for number in behind]
        theirs += behind
        sources |= {f"{prefix}{a}.": f"{prefix}{b}." for a, b in zip(ours, theirs, strict=True)}
    return sources


def level_of(source: str) -> str:
    """The prefix of the parts that a key or a value of sources is of: `body.` of `body.3.`."""
    return re.sub(r"\d+\.$", "", source)


def _of_student(prefix: str, sources: Mapping[str, str]) -> str | None:
    """The student's name for a prefix of the teacher's, which may be inside of parts; None where these are gone."""
    for level in reversed(list(dict.fromkeys(map(level_of, sources)))):  # the innermost first, as they are named
        if re.match(rf"{re.escape(level)}\d+\.", prefix):
            ours = [own for own, other in sources.items() if level_of(own) == level and prefix.startswith(other)]
            if not ours:
                return None
            prefix = ours[0] + prefix.removeprefix(sources[ours[0]])
    return prefix


def source_of(name: str, sources: Mapping[str, str]) -> str:
    """The teacher's name for a student's parameter or module path.

    `sources` are as `kept_parts` gives them: those of parts inside of parts follow, under the teacher's outer names.
    """
    done = set()
    for ours, theirs in sources.items():
        level = level_of(ours)
        if level not in done and name.startswith(ours):
            name = theirs + name.removeprefix(ours)
            done.add(level)
    return name


def entry_and_exit(graph: Graph, paths: Sequence[str]) -> tuple[fx.Node, fx.Node] | None:
    """What some modules read and make together, where these are one tensor each, of one shape; else None."""
    members, entries = _entries(graph, paths)
    inside = [node for node in graph.calls if node in members]
    exits = [node for node in inside if any(user not in members for user in node.users)]
    if len(entries) != 1 or len(exits) != 1:
        return None
    (entry,) = entries
    return (entry, exits[0]) if shape(entry) == shape(exits[0]) else None


def _entries(graph: Graph, paths: Sequence[str]) -> tuple[set[fx.Node], set[fx.Node]]:
    """The operations of some modules, and what they read that others make of the image: masks are made of nothing."""
    inside = {node for node in graph.calls if any(is_within(module_path(node), path) for path in paths)}
    return inside, {n for node in inside for n in node.all_input_nodes if n not in inside and n in graph.from_image}


def spans(graph: Graph, parts: Parts) -> tuple[fx.Node, ...] | None:
    """What each part begins with, and what the last one ends with, where each begins where the one before ends.

    A part is here all that stands between: also what is added to the result of its modules. None where parts do not
    follow each other so, or have other operations than the first one.
    """
    order = {node: index for index, node in enumerate((graph.image, *graph.calls))}
    nodes = list(order)
    entries = [_entries(graph, parts.paths(index))[1] for index in range(len(parts.units))]
    begins = [order[next(iter(entry))] for entry in entries if len(entry) == 1]
    if len(begins) != len(entries):
        return None
    length = begins[1] - begins[0]
    bounds = [*begins, begins[-1] + length]
    if any(end - begin != length for begin, end in itertools.pairwise(bounds)) or not 0 < bounds[-1] < len(nodes):
        return None
    pieces = [nodes[begin + 1 : end + 1] for begin, end in itertools.pairwise(bounds)]
    for piece in pieces:
        inner = set(piece[:-1])
        alike = [(operation(node), shape(node)) for node in piece] == [(operation(n), shape(n)) for n in pieces[0]]
        if not alike or any(user not in piece for node in inner for user in node.users):
            return None
    return tuple(nodes[bound] for bound in bounds) if shape(nodes[bounds[0]]) == shape(nodes[bounds[-1]]) else None


def is_within(path: str, module: str) -> bool:
    """Whether a module path is that of a module or of one inside of it."""
    return path == module or path.startswith(f"{module}.")


def ends_of_spans(graph: Graph, sources: Mapping[str, str]) -> dict[fx.Node, fx.Node]:
    """For what each kept part makes: what the last of the parts makes that are left out behind it, or itself.

    A part that stays does the work of those behind it, too. `sources` are as `kept_parts` gives them.
    """
    spans = {}
    for parts in repeated_parts(graph.shapes):
        found = (parts.index(source) for source in sources.values())
        kept = sorted({index for index in found if index is not None})
        for index, following in zip(kept, [*kept[1:], len(parts.units)], strict=False):
            own, last = (entry_and_exit(graph, parts.paths(each)) for each in (index, following - 1))
            if own is not None and last is not None:
                spans[own[1]] = last[1]
    return spans
