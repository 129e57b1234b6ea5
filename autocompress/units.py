"""Numbers as people write them: 20G FLOPs, 300K parameters, 90s, 10m, 2h, 30ms."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable
from typing import TypeVar

from autocompress.errors import InvalidInput
from autocompress.names import EMBEDDED

Amount = float | str  # 20e9 or "20G"
Time = float | str  # 600, in seconds, or "10m"
Number = TypeVar("Number", int, float)

_PREFIXES = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_count(text: str) -> int:
    """`20G` as 20000000000; one of K, M, G, T or nothing behind a positive number."""
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e[0-9]+)?)\s*([KMGT]?)\s*", text, re.IGNORECASE)
    number = float(match[1]) * _PREFIXES[match[2].upper()] if match else 0.0
    count = round(number) if math.isfinite(number) else 0
    if count < 1:
        raise InvalidInput(f"{text!r} is no amount; write a number >= 1 with K, M, G or T, such as 20G or 500K")
    return count


def parse_duration(text: str) -> float:
    """`10m` as 600.0 seconds; one of ms, s, m, h, d behind a positive number, or plain seconds."""
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(ms|s|m|h|d|)\s*", text, re.IGNORECASE)
    seconds = float(match[1]) * _SECONDS[match[2].lower() or "s"] if match else 0.0
    if not (seconds > 0 and math.isfinite(seconds)):
        raise InvalidInput(f"{text!r} is no duration; write a number > 0 with ms, s, m, h or d, such as 90s or 10m")
    return seconds


def parse_number(text: str) -> float:
    """`0.5` as 0.5; nan, inf and what is too large for a float are refused."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"{text!r} is no finite number; write one such as 0.5 or 1e-4")
    return number


def format_short(count: float) -> str:
    """All digits before the point, but two at least, and a prefix: 19080000000 as `19G`, 2860000000 as `2.9G`."""
    prefix, factor = next((item for item in reversed(_PREFIXES.items()) if round(count / item[1], 1) >= 1), ("", 1.0))
    value = count / factor
    return f"{value:.0f}{prefix}" if round(value, 1) >= 10 else f"{value:.1f}".removesuffix(".0") + prefix


def format_count(count: float) -> str:
    """Three or four digits and a prefix: 11650000000 as `11.65G`."""
    count = float(f"{count:.4g}")  # before the prefix is chosen, or 999,999 would be 1000K
    for prefix, factor in reversed(_PREFIXES.items()):
        if count >= factor:
            value = count / factor
            digits = 0 if not prefix else max(0, 3 - len(str(int(value))) + 1)
            return f"{value:.{digits}f}".rstrip("0").rstrip(".") + prefix if digits else f"{value:.0f}{prefix}"
    return f"{count:g}"


def quantity(number: int, noun: str, written: Callable[[float], str] = str) -> str:
    """A number of things in words, `1 image` or `12 images`; nouns are those whose plural ends in s."""
    return f"{written(number)} {noun}{'' if number == 1 else 's'}"


def images_in_words(number: int, name: str) -> str:
    """How many images of a set, by the name that is stored of it."""
    of_ours = name.startswith(EMBEDDED)
    return f"{number} of scikit-image's photographs" if of_ours else f"{quantity(number, 'image')} of {name}"


def decibels(psnr: float) -> str:
    """A PSNR in dB with two digits, `36.93`. It must not be rounded before: 36.9345 to 36.935, and that to 36.94."""
    return f"{psnr:.2f}"


def signed_decibels(difference: float) -> str:
    """A difference of two with its sign, `-0.05` or `+0.12`."""
    return f"{difference:+.2f}"


def format_milliseconds(milliseconds: float | None) -> str:
    """Three digits, or all before the point: `23.4` or `1204`; an empty text if not measured."""
    if milliseconds is None:
        return ""
    return f"{milliseconds:.3g}" if milliseconds < 100 else f"{milliseconds:.0f}"


def format_duration(seconds: float) -> str:
    """`45s`, `3m20s` or `2h05m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def exact_count(count: int) -> str:
    """A text that `parse_count` reads back exactly: short if possible, `20G`, else with every digit."""
    short = format_count(count)
    return short if parse_count(short) == count else str(count)


def exact_duration(seconds: float) -> str:
    """A text that `parse_duration` reads back exactly, to the microsecond, in the largest unit that makes it whole."""
    for unit in ("h", "m"):
        if seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]:.0f}{unit}"
    return f"{_without_exponent(seconds)}s"


def exact_milliseconds(milliseconds: float) -> str:
    """A text that `read_milliseconds` reads back exactly."""
    return f"{_without_exponent(milliseconds)}ms"


def read_count(name: str, given: Amount) -> int:
    """Read a number or a text, 20e9 or "20G"; InvalidInput, with `name`, if it is no amount."""
    return _read(name, given, parse_count)


def read_duration(name: str, given: Time) -> float:
    """Read a time in seconds from a number or a text, 600 or "10m"; InvalidInput, with `name`, if it is none."""
    return _read(name, given, parse_duration)


def read_milliseconds(name: str, given: Time) -> float:
    """Read a time in milliseconds from a number of seconds, or a text with a unit: 0.03 or "30ms"."""
    if isinstance(given, str) and given.strip()[-1:].isdigit():
        raise InvalidInput(f"{name}: {given!r} has no unit; write {given.strip()}ms or {given.strip()}s")
    return round(1000 * read_duration(name, given), 6)  # rounded: 0.03 s would be 30.000000000000004 ms or the like


def read_number(name: str, given: float | str) -> float:
    """Read a number; InvalidInput, with `name`, where it is none that is finite."""
    try:
        return parse_number(str(given))
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error}") from None


def _read(name: str, given: float | str, parse: Callable[[str], Number]) -> Number:
    """Parse what is given; a number is written as a text first, so that both are checked in the same way."""
    text = given if isinstance(given, str) else _without_exponent(given)
    try:
        return parse(text)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error}") from None


def _without_exponent(number: float) -> str:
    """The number as a text without an exponent, which amounts and durations never have."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def wrapped(text: str, width: int, indent: int = 4) -> str:
    """A line as lines of at most `width` characters, broken between words; those after the first are indented.

    A longer word, such as a path, stays whole, so that it can be copied.
    """
    if len(text) <= width:
        return text
    return "\n".join(
        textwrap.wrap(
            text, max(width, 2 * indent), subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
        )
    )
