"""What a command may replace: files that it wrote before, but none that it reads, and none of another origin.

A network's file has companions of its own name: NAME.json says what it is, NAME.md and NAME.html show it. They are
replaced with it, so that a file of that name which is not ours would be lost, and another network's weights of that
name would from then on be read as what they are not. This module does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from autocompress.errors import InvalidInput, RunError
from autocompress.io.atomic import read_json

READ_BY_SIDE_FILE = (".safetensors", ".pth", ".pt", ".ckpt", ".pt2")  # what is read as NAME.json says
SHOWN = 100_000  # bytes of a text that are looked at: cards begin with what makes them ours, pages with their title
CARD, PAGE = b"\nlibrary_name: autocompress\n", b"<title>autocompress"


def check_not_read(out: Path, read: Iterable[object]) -> None:
    """Raise InvalidInput where `out`, which is to be written, is one of the files that are `read`."""
    for file in read:
        if isinstance(file, str | Path) and out.exists() and Path(file).exists() and out.samefile(file):
            raise InvalidInput(
                f"{out}: is read by this command, and would be replaced by what it makes; give another place with --out"
            )


def check_companions(out: Path) -> None:
    """Raise InvalidInput where writing `out`, a network's file, would replace a companion that is not ours.

    Also where there are other weights of its name, which would then be read by its side file.
    """
    check_ours(out.with_suffix(".json"), is_side_file, "the side file of a network")
    check_ours(out.with_suffix(".html"), is_page, "a page of autocompress")
    if others := weights_beside(out):
        raise InvalidInput(
            f"{others[0]}: is there, and would be read as {out.with_suffix('.json').name} says, which "
            f"belongs to {out.name}; give another name with --out, or move it away"
        )


def check_ours(path: Path, is_ours: Callable[[Path], bool], what: str) -> None:
    """Raise InvalidInput where something is at `path` that `is_ours` does not know; `what` it should be."""
    if (path.is_symlink() or path.exists()) and (path.is_dir() or not is_ours(path)):
        raise InvalidInput(
            f"{path}: is there, is not {what}, and would be replaced; move it away, or give another place with --out"
        )


def weights_beside(out: Path) -> list[Path]:
    """Other files of the same name that are read as its side file says."""
    beside = (out.with_suffix(suffix) for suffix in READ_BY_SIDE_FILE)
    return [file for file in beside if file != out and file.is_file()]


def is_side_file(path: Path) -> bool:
    """Whether a JSON file is one that says what a network is."""
    return _has(path, "family", "config")


def is_index(path: Path) -> bool:
    """Whether a JSON file is the index of a front that was exported."""
    return _has(path, "run", "references", "students")


def is_card(path: Path) -> bool:
    """Whether a Markdown file is a card of ours."""
    return CARD in _beginning(path)


def is_page(path: Path) -> bool:
    """Whether an HTML file is a page of ours."""
    return PAGE in _beginning(path)


def _has(path: Path, *keys: str) -> bool:
    try:
        return set(keys) <= read_json(path).keys()
    except RunError:
        return False


def _beginning(path: Path) -> bytes:
    if not path.is_file():  # a pipe would be waited for
        return b""
    with path.open("rb") as file:
        return file.read(SHOWN)
