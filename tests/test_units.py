"""Numbers as people write them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocompress.errors import InvalidInput
from autocompress.units import (
    decibels,
    format_count,
    format_duration,
    format_milliseconds,
    format_short,
    images_in_words,
    parse_count,
    parse_duration,
    quantity,
    signed_decibels,
    wrapped,
)

PACKAGE = Path(__file__).parents[1] / "autocompress"


@pytest.mark.parametrize(("psnr", "text"), [(36.9345, "36.93"), (36.936, "36.94"), (7.0, "7.00")])
def test_decibels(psnr: float, text: str) -> None:
    assert decibels(psnr) == text


def test_differences_have_a_sign() -> None:
    assert (signed_decibels(0.125001), signed_decibels(-0.05), signed_decibels(0.0)) == ("+0.13", "-0.05", "+0.00")


@pytest.mark.parametrize(("number", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images")])
def test_quantities(number: int, text: str) -> None:
    assert quantity(number, "image") == text
    assert images_in_words(number, "Set5") == f"{text} of Set5"


def test_large_quantities_are_short() -> None:
    assert quantity(12_300, "config", format_count) == "12.3K configs"


def test_quantities_are_written_in_one_place() -> None:
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.html")]
    lines = [line for file in files for line in file.read_text().splitlines()]
    by_themselves = re.compile(r"[^}]\} (images|students)\b(?!\{)|length \}\} (images|students|trials)\b")
    assert [line for line in lines if by_themselves.search(line)] == []


def test_decibels_are_rounded_in_one_place() -> None:
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.html")]
    lines = [line for file in files if file.name != "units.py" for line in file.read_text().splitlines()]
    by_themselves = [line for line in lines if re.search(r"\.2f", line) and re.search(r"dB|psnr|score", line)]
    assert by_themselves == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("20G", 20_000_000_000),
        ("1.5T", 1_500_000_000_000),
        ("300m", 300_000_000),
        ("500K", 500_000),
        (" 7 k ", 7_000),
        (".5M", 500_000),
        ("42", 42),
        ("2e9", 2_000_000_000),
    ],
)
def test_counts(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "G", "-5G", "0", "0.2", "5X", "20 GB", "1e999", "nan", "inf", "5G 5G", "1_000"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no amount; write a number >= 1") as caught:
        parse_count(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("1d", 86400),
        ("30ms", 0.03),
        ("45", 45),
        ("1.5H", 5400),
        ("1e3s", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(InvalidInput):
            parse_duration(text)
    else:
        assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "-10m", "0s", "ten", "5w", "9" * 400])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no duration; write a number > 0"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (11_650_000_000, "11.65G"),
        (20 * 10**9, "20G"),
        (316_250_000_000, "316.2G"),
        (49_603, "49.6K"),
        (1_369_859, "1.37M"),
        (999, "999"),
        (1, "1"),
        (999_999, "1M"),
        (999_999_999, "1G"),
        (0, "0"),
    ],
)
def test_format_count(count: int, text: str) -> None:
    assert format_count(count) == text


@given(st.integers(1, 10**15))
def test_a_formatted_count_reads_back_nearly(count: int) -> None:
    assert parse_count(format_count(count)) == pytest.approx(count, rel=1e-3)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (45.4, "45s"), (59.9, "1m00s"), (200, "3m20s"), (3599.7, "1h00m"), (7500, "2h05m"), (90061, "25h01m")],
)
def test_format_duration(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("ms", "text"), [(23.42, "23.4"), (0.257, "0.257"), (1204.4, "1204"), (None, "")])
def test_milliseconds(ms: float | None, text: str) -> None:
    assert format_milliseconds(ms) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (19_080_000_000, "19G"),
        (2_860_000_000, "2.9G"),
        (316_250_000_000, "316G"),
        (999_999_999, "1G"),
        (1000, "1K"),
        (7, "7"),
    ],
)
def test_short_counts(count: float, text: str) -> None:
    assert format_short(count) == text


def test_a_line_is_broken_between_words_and_a_path_is_not() -> None:
    line = "Pick: trial 10, 34.66 dB: runs/a-folder/trials/0010/student.safetensors"
    assert wrapped(line, 80) == line
    lines = wrapped(line, 50).split("\n")
    assert lines == ["Pick: trial 10, 34.66 dB:", "    runs/a-folder/trials/0010/student.safetensors"]
    assert wrapped(line, 1).split("\n")[-1].endswith("runs/a-folder/trials/0010/student.safetensors")
