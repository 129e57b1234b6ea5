"""Every error that is raised on purpose: its text is one line that has a rule or a remedy, not only what is wrong."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from autocompress import errors

FOLDER = Path(errors.__file__).parent
CLASSES = {
    name
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, errors.AutocompressError)
}
# a rule in words, or what to do; `{error}` and such pass on another one of ours, or are put together elsewhere
HELPFUL = ("; ", "but ", "which is no ", "must ", "use ", ", as ", "choose ", "crop ", "give ")

REASONS = ("shrink/programs.py",)  # why something cannot vary, which is shown as such


def text_of(node: ast.expr) -> str:
    """A message as it stands in the code, with what is put in in braces."""
    match node:
        case ast.Constant():
            return str(node.value)
        case ast.JoinedStr():
            return "".join(map(text_of, node.values))
        case ast.FormattedValue():
            return text_of(node.value) if isinstance(node.value, ast.IfExp) else f"{{{ast.unparse(node.value)}}}"
        case ast.BinOp():
            return text_of(node.left) + text_of(node.right)
        case ast.IfExp():
            return text_of(node.body) + text_of(node.orelse)
    return f"{{{ast.unparse(node)}}}"


def messages() -> Iterator[tuple[str, str]]:
    """Where, and what."""
    for file in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES and node.args:
                yield f"{file.relative_to(FOLDER)}:{node.lineno} {node.func.id}", text_of(node.args[0])


ALL = list(messages())


def test_they_are_found() -> None:
    assert len(ALL) > 250


@pytest.mark.parametrize(("where", "text"), ALL, ids=[where for where, _ in ALL])
def test_a_message_helps(where: str, text: str) -> None:
    assert "\n" not in text
    assert not text.endswith((".", "!"))
    passed_on = text.endswith("}")
    assert passed_on or where.startswith(REASONS) or any(word in text for word in HELPFUL), text
