"""YAML, read in this one place: plain values within limits, or one line that says what is wrong.

YAML has more than people write in a list of parameters: aliases that multiply themselves, merge keys, tags, dates.
None of that is taken. PyYAML's safe loader runs no code, but raises nearly anything for what is malformed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable
from typing import Any

import yaml
from typing_extensions import override

from autocompress.errors import InvalidInput, cut, shown

MOST_CHARACTERS = 256 * 1024
MOST_VALUES = 20_000
DEEPEST = 20  # levels of lists and mappings
LARGEST = 2**63  # of whole numbers


def parse_yaml(text: str) -> Any:
    """The mapping, list, word, number, bool or None in a text; the keys of mappings are words.

    Raises InvalidInput, in one line without the file's name.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidInput(f"{len(text)} characters, but at most {MOST_CHARACTERS} are read; leave some out")
    try:
        _check_events(text)
        value = yaml.load(text, Loader=_Loader)
    except InvalidInput:
        raise
    # for malformed values also ValueError, TypeError, AttributeError, KeyError, RecursionError...
    except Exception as error:
        raise InvalidInput(f"not readable as YAML: {cut(' '.join(str(error).split()), 300)}") from error
    _check_plain(value)
    return value


class _Loader(yaml.SafeLoader):
    """PyYAML's own, but a key that is there twice is an error: it would take the last, without a word."""

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, times in keys.items():
            if times > 1:
                raise InvalidInput(f"{cut(key)} is there twice; leave one out")
        return super().construct_mapping(node, deep)


def _check_events(text: str) -> None:
    """Raise InvalidInput for what is too large or too deep, before anything is made of it."""
    values, depth = 0, 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise InvalidInput(f"*{cut(str(event.anchor))} is an alias, which is not read; write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        values += isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if depth > DEEPEST:
            raise InvalidInput(f"lists and mappings in each other on more than {DEEPEST} levels; write it flat")
        if values > MOST_VALUES:
            raise InvalidInput(f"more than {MOST_VALUES} values; leave some out")


def _check_plain(value: object, name: str = "") -> None:
    """Raise InvalidInput for values that JSON does not have: dates, sets, bytes, numbers that are not finite."""
    place = cut(name) or "the value"
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                kind = type(key).__name__
                raise InvalidInput(f"{place} has the key {shown(key)}, a {kind}, but must have words; put it in quotes")
            _check_plain(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for inner in value:
            _check_plain(inner, name)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"{place} is {value}, but must be a number that is finite")
    elif isinstance(value, int) and abs(value) >= LARGEST:
        raise InvalidInput(f"{place} is {shown(value)}, but must be a number of less than 63 bits")
    elif not (value is None or isinstance(value, str | int | float)):
        kind = type(value).__name__
        raise InvalidInput(f"{place} is {shown(value)}, a {kind}, but must be a word, a number or a list of these")
