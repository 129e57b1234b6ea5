"""Names that others have given (to files, teachers, tensors), made fit to be shown: they are text, and do nothing."""

from __future__ import annotations

import re

EMBEDDED = "embedded-"  # so begin the names of sets of scikit-image's photographs
_MARKDOWN = re.compile(r"[\\`*\[\]|]")  # what can begin a link, a picture, a code or another cell
# and what begins emphasis (underscores, but for those within words), a formula of mathematics, or what is struck out
_MARKUP = re.compile(r"[$~]|(?<![^\W_])_|_(?![^\W_])")
_FORMULA = re.compile(r"\A\s*[=+\-@\t\r]")  # what spreadsheets take for the beginning of a formula


class Markdown(str):
    """A text that is Markdown already."""

    __slots__ = ()


def printable(text: str) -> str:
    """A text with escapes for its characters that are none: newlines, what terminals obey, what turns text around."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def name_bytes(text: str) -> bytes:
    """A text in UTF-8, to be hashed: also a name from a file system that is none, as Python reads it."""
    return text.encode(errors="surrogatepass")


def as_markdown(text: str) -> str:
    """A text that Markdown and the HTML in it show as it is."""
    escaped = _MARKDOWN.sub(r"\\\g<0>", printable(text))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", escaped)  # TensorBoard's Markdown has no escapes of these


def as_code(text: str) -> str:
    """A text as code within a line of Markdown."""
    return f"`{printable(text).replace('`', chr(39))}`"


def as_cell(value: object) -> object:
    """A value of a CSV file; a text that a spreadsheet would compute gets an apostrophe in front, which it hides."""
    if not isinstance(value, str):
        return value
    return f"'{printable(value)}" if _FORMULA.match(value) else printable(value)


def is_program(file: object) -> bool:
    """Whether a file's name is that of an exported program of torch.export."""
    return str(file).endswith(".pt2")
