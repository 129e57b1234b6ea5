"""Names of others: in lines, terminals, Markdown and tables they are text, and do nothing."""

import html
import re

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from autocompress.errors import AutocompressError, DiskFull, InvalidInput
from autocompress.names import as_cell, as_code, as_markdown, printable

ANY = st.text(st.characters(codec=None), max_size=20)  # surrogates too, as in names of files that are not UTF-8
EVIL = "a\x1b]0;title\x07\x1b[2J\nerror: no\r\u202egnp.\udcff\x9b1m"


@given(ANY)
def test_what_is_printable_is_one_line_and_tells_a_terminal_nothing(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert printable(shown) == shown


def test_names_in_any_script_stay_as_they_are() -> None:
    for name in ("photo 1.png", "写真.png", "bücher/ñ.png", r"C:\photos\a.png", ""):
        assert printable(name) == name
    assert printable(EVIL) == r"a\x1b]0;title\x07\x1b[2J\nerror: no\r\u202egnp.\udcff\x9b1m"


def test_every_error_is_one_line() -> None:
    for error in (InvalidInput(f"{EVIL}: no"), AutocompressError(EVIL), DiskFull(EVIL)):
        assert str(error).isprintable()


@given(ANY)
def test_a_name_in_markdown_is_neither_html_nor_a_link_nor_another_cell(text: str) -> None:
    shown = as_markdown(text)
    assert "<" not in shown
    assert ">" not in shown
    assert not re.search(r"(?<!\\)(\\\\)*[\[\]|`*]", shown)
    assert as_code(text).count("`") == 2


@given(ANY | st.text("_$~*`ab \\", max_size=12))
@example("_a_ __init__ my__x $x^2$ ~~gone~~ ~/runs_ *b* num_feat=2")
def test_markdown_shows_a_name_as_it_is(text: str) -> None:
    """No emphasis, and nothing struck out; the dollars of formulas, which this renderer does not know, are none."""
    shown = as_markdown(text)
    rendered = MarkdownIt("commonmark").enable("strikethrough").renderInline(f"({shown})")
    assert html.unescape(rendered) == f"({printable(text)})"
    assert "$" not in shown
    assert as_markdown("edsr num_feat=2 num_block=1") == "edsr num_feat=2 num_block=1"


@given(ANY)
def test_no_cell_is_a_formula(text: str) -> None:
    cell = str(as_cell(text))
    assert cell.isprintable()
    assert not re.match(r"\s*[=+\-@]", cell)


def test_numbers_in_cells_stay_numbers() -> None:
    assert as_cell(-1.5) == -1.5
    assert as_cell("edsr-16x8") == "edsr-16x8"
    assert as_cell("=cmd|' /C calc'!A0") == "'=cmd|' /C calc'!A0"
